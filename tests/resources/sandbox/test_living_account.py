"""A simulated account that goes on at what is written to it."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from resources.sandbox.build import simulate_account
from resources.sandbox.servers.account import ACCOUNT_ZONE
from resources.sandbox.servers.living import LivingAccount

TODAY = date(2026, 6, 30)
NINE = datetime(2026, 6, 30, 9, tzinfo=ZoneInfo(ACCOUNT_ZONE))


@pytest.fixture
def account() -> LivingAccount:
    return LivingAccount("tiny", 7, TODAY, lambda: NINE)


def spent_last(account: LivingAccount) -> np.ndarray:
    return account.simulated.ledger.levers.cents[-1] / 100


def test_its_history_is_the_simulated_one(account):
    built = simulate_account("tiny", 7, TODAY)
    assert (account.simulated.ledger.levers.cents == built.ledger.levers.cents).all()
    assert account.simulated.orders.value_cents.tolist() == built.orders.value_cents.tolist()


def test_a_written_budget_is_spent_and_a_pause_spends_nothing(account):
    held = LivingAccount("tiny", 7, TODAY, lambda: NINE)
    raised, paused = np.argsort(account.in_force())[-2:]
    entities = account.simulated.business.levers.entity_id
    account.take_write(entities[raised], budget=Decimal(3) * int(account.in_force()[raised]), runs=None)
    account.take_write(entities[paused], budget=None, runs=False)
    account.live()
    held.live()
    assert spent_last(account)[raised] > 1.5 * spent_last(held)[raised]
    assert spent_last(account)[paused] == 0 < spent_last(held)[paused]
    assert account.simulated.ledger.days == account.simulated.business.days + 1


def test_a_resumed_lever_goes_on_at_the_budget_it_had(account):
    lever = int(np.argmax(account.in_force()))
    entity, before = account.simulated.business.levers.entity_id[lever], account.in_force()[lever]
    account.take_write(entity, budget=None, runs=False)
    account.live()
    account.take_write(entity, budget=None, runs=True)
    assert account.in_force()[lever] == before


def test_its_manager_rests_from_the_first_live_day(account):
    before = [len(account.budget_edits(platform)) for platform in range(4)]
    lever = int(np.argmax(account.in_force()))
    account.take_write(account.simulated.business.levers.entity_id[lever], budget=Decimal(900), runs=None)
    account.live()
    assert [len(account.budget_edits(platform)) for platform in range(4)] == before


def test_an_ad_that_is_switched_off_delivers_nothing_and_its_lever_goes_on(account):
    business = account.simulated.business
    ads = business.cells.ad[account.simulated.ledger.delivery.cell]
    lever = business.adsets.lever[business.ads.adset[ads]]
    busiest = int(np.bincount(ads[lever == np.argmax(account.in_force())]).argmax())
    account.take_write(business.ads.id[busiest], budget=None, runs=False)

    def delivered() -> bool:
        account.live()
        ledger = account.simulated.ledger
        last = ledger.delivery.day == ledger.days - 1
        return bool((business.cells.ad[ledger.delivery.cell[last]] == busiest).any())

    assert not delivered()
    assert spent_last(account)[np.argmax(account.in_force())] > 0
    account.take_write(business.ads.id[busiest], budget=None, runs=True)
    assert delivered()


def test_an_entity_without_a_budget_is_refused_by_name(account):
    with pytest.raises(ValueError, match="ad_7 carries no budget"):
        account.take_write("ad_7", budget=Decimal(10), runs=None)
