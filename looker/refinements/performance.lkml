# By hand: what a click on a number shows. Metrics are defined in dbt_project/models/semantic and nowhere else.

view: +ads_campaign_daily {
  measure: cac {
    drill_fields: [platform, campaign_name, cost, conversions, cac]
  }

  measure: roas {
    drill_fields: [platform, campaign_name, cost, revenue, roas]
  }
}

view: +proposal_history {
  measure: mean_hours_to_decision {
    drill_fields: [lever_name, type, proposed_time, decided_time, verdict]
  }

  measure: rolled_back_changes {
    drill_fields: [lever_name, type, decided_time, rolled_back_time, rollback_reason]
  }
}

explore: +performance {
  group_label: "Paid media"
}

explore: +ad_performance {
  group_label: "Paid media"
}

explore: +placement {
  group_label: "Paid media"
}
