"""What wakes the graph: outside events (sensors), the clock (schedules), upstream changes (conditions)."""
