import time
import pytest
from tests.e2e.homes import *
def test_it(finished, next_day, tmp_path):
    print(finished[1], finished[0].said)
    print(next_day[1], next_day[0].said)
