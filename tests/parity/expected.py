"""What the landed rows must become, worked out by hand: these answers decide, not either engine.

Here: all rows of each table, on the columns that carry meaning; `-` is NULL, a ratio is written as the
division it is. Not here: the rows they come from (`landed.py`).
"""

# ruff: noqa: E501 - a table is read across
from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Expected:
    """A table as text: column names, then rows of cells, two or more spaces apart."""

    text: str

    @property
    def columns(self) -> list[str]:
        return self._cells()[0]

    @property
    def rows(self) -> list[list[str]]:
        return self._cells()[1:]

    def _cells(self) -> list[list[str]]:
        return [re.split(r" {2,}", line.strip()) for line in self.text.strip().splitlines()]


EXPECTED: dict[str, Expected] = {
    # The 4th was emptied; a2 vanished from the 5th; a3 reported no metric.
    "gaelp_training.meta_ad_performance": Expected("""
        date        account_id  ad_id  impressions  clicks  inline_link_clicks  unique_inline_link_clicks  spend         purchases_7d_click  purchases_1d_view  purchase_value_7d_click
        2026-06-05  m1          a1     1200         66      30                  25                         13.345678901  2                   0                  20
        2026-06-08  m1          a1     2000         80      40                  35                         20            4                   2                  40
        2026-06-08  m1          a3     0            -       -                   -                          -             -                   -                  -
        2026-06-09  m1          a1     3000         120     60                  50                         30            7                   1                  70
        2026-06-10  m1          a1     4000         160     80                  70                         40            6                   0                  60
    """),
    "gaelp_training.meta_ad_performance_by_place": Expected("""
        date        account_id  ad_id  publisher_platform  platform_position  impression_device  spend
        2026-06-06  m2          b1     facebook            feed               desktop            2.5
        2026-06-08  m1          a1     facebook            feed               mobile_app         15
        2026-06-08  m1          a1     instagram           stories            mobile_app         5
        2026-06-08  m2          b1     facebook            feed               desktop            3
        2026-06-08  m2          b1     instagram           feed               mobile_app         4
    """),
    # m1 counts without breakdown, m2 as the sum of placements, f1's placements of the 8th not at all. What a file
    # says of m1 on the 7th stands beside Meta's own days.
    "gaelp_training.ads_ad_daily": Expected("""
        date        platform    account_id  campaign_id  campaign_name     adgroup_id  ad_id  creative_id  impressions  clicks  cost          conversions  conversions_view  revenue  ctr    cvr    avg_cpc          currency
        2026-06-01  shop        f1          fc           Security banners  fg          f-a    -            10           2       4.01          1            0                 -        0.2    0.5    2.005            EUR
        2026-06-01  shop        f1          fc           Security banners  fg          f-b    -            20           2       6             1            0                 -        0.1    0.5    3                EUR
        2026-06-05  meta        m1          c1           Security US       s1          a1     cr1          1200         30      13.345678901  2            0                 20       0.025  2/30   13.345678901/30  USD
        2026-06-06  meta        m2          c1           Security US       s9          b1     cr1          250          2       2.5           0            0                 -        0.008  0      1.25             USD
        2026-06-07  meta        m1          c1           Security US       s7          a7     -            400          8       5.5           1            0                 -        0.02   0.125  0.6875           USD
        2026-06-08  google_ads  g1          gc           Balance search    gg          ga     -            1000         25      3             0.75         2                 20       0.025  0.03   0.12             USD
        2026-06-08  linkedin    l1          lg           Security leaders  lc          la     la           50           2       9.5           1            0                 100      0.04   0.5    4.75             USD
        2026-06-08  meta        m1          c1           Security US       s1          a1     cr1          2000         40      20            4            2                 40       0.02   0.1    0.5              USD
        2026-06-08  meta        m1          c2           Old brand         s2          a3     -            0            0       0             0            0                 -        -      -      -                USD
        2026-06-08  meta        m2          c1           Security US       s9          b1     cr1          700          7       7             1            0                 -        0.01   1/7    1                USD
        2026-06-08  shop        f1          fc           Security banners  fg          f-a    -            30           2       1             1            0                 -        2/30   0.5    0.5              EUR
        2026-06-08  shop        f2          fx           -                 grp         grp    -            11           2       3             0            0                 3        2/11   0      1.5              -
        2026-06-08  tiktok      t1          tc           balance spark     tg          ta     -            700          0       7.000000001   1            3                 -        0      -      -                EUR
        2026-06-09  meta        m1          c1           Security US       s1          a1     cr1          3000         60      30            7            1                 70       0.02   7/60   0.5              USD
        2026-06-09  shop        f1          fc           Security banners  fg          f-a    -            40           2       2.02          1            0                 -        0.05   0.5    1.01             EUR
        2026-06-10  meta        m1          c1           Security US       s1          a1     cr1          4000         80      40            6            0                 60       0.02   0.075  0.5              USD
    """),
    "gaelp_training.ads_campaign_daily": Expected("""
        date        platform    account_id  campaign_id  impressions  clicks  cost          ctr    cvr    avg_cpc
        2026-06-01  shop        f1          fc           30           4       10.01         4/30   0.5    2.5025
        2026-06-05  meta        m1          c1           1200         30      13.345678901  0.025  2/30   13.345678901/30
        2026-06-06  meta        m2          c1           250          2       2.5           0.008  0      1.25
        2026-06-07  meta        m1          c1           400          8       5.5           0.02   0.125  0.6875
        2026-06-08  google_ads  g1          gc           1000         25      3             0.025  0.03   0.12
        2026-06-08  linkedin    l1          lg           50           2       9.5           0.04   0.5    4.75
        2026-06-08  meta        m1          c1           2000         40      20            0.02   0.1    0.5
        2026-06-08  meta        m1          c2           0            0       0             -      -      -
        2026-06-08  meta        m2          c1           700          7       7             0.01   1/7    1
        2026-06-08  shop        f1          fc           30           2       1             2/30   0.5    0.5
        2026-06-08  shop        f2          fx           11           2       3             2/11   0      1.5
        2026-06-08  tiktok      t1          tc           700          0       7.000000001   0      -      -
        2026-06-09  meta        m1          c1           3000         60      30            0.02   7/60   0.5
        2026-06-09  shop        f1          fc           40           2       2.02          0.05   0.5    1.01
        2026-06-10  meta        m1          c1           4000         80      40            0.02   0.075  0.5
    """),
    # a1's seven days to the 8th hold the restated 5th, those to the 10th begin after the emptied 4th.
    "gaelp_training.unified_ctr": Expected("""
        date        platform    account_id  ad_id  ctr    link_ctr  link_ctr_unique  impressions_7d  unique_inline_link_clicks_7d  ctr_7d     link_ctr_7d  link_ctr_unique_7d
        2026-06-01  shop        f1          f-a    0.2    0.2       -                10              -                             0.2        0.2          -
        2026-06-01  shop        f1          f-b    0.1    0.1       -                20              -                             0.1        0.1          -
        2026-06-05  meta        m1          a1     0.055  0.025     25/1200          1200            25                            0.055      0.025        25/1200
        2026-06-06  meta        m2          b1     0.008  0.008     -                250             -                             0.008      0.008        -
        2026-06-07  meta        m1          a7     0.02   0.02      -                400             -                             0.02       0.02         -
        2026-06-08  google_ads  g1          ga     0.025  0.025     -                1000            -                             0.025      0.025        -
        2026-06-08  linkedin    l1          la     0.04   0.04      -                50              -                             0.04       0.04         -
        2026-06-08  meta        m1          a1     0.04   0.02      0.0175           3200            60                            146/3200   70/3200      60/3200
        2026-06-08  meta        m1          a3     -      -         -                0               -                             -          -            -
        2026-06-08  meta        m2          b1     0.01   0.01      -                950             -                             9/950      9/950        -
        2026-06-08  shop        f1          f-a    2/30   2/30      -                30              -                             2/30       2/30         -
        2026-06-08  shop        f2          grp    2/11   2/11      -                11              -                             2/11       2/11         -
        2026-06-08  tiktok      t1          ta     0      0         -                700             -                             0          0            -
        2026-06-09  meta        m1          a1     0.04   0.02      50/3000          6200            110                           266/6200   130/6200     110/6200
        2026-06-09  shop        f1          f-a    0.05   0.05      -                70              -                             4/70       4/70         -
        2026-06-10  meta        m1          a1     0.04   0.02      0.0175           10200           180                           426/10200  210/10200    180/10200
    """),
    "gaelp_training.ads_period_performance": Expected("""
        platform  account_id  ad_id  segment  period   period_start  impressions  cost  revenue
        kag       k1          ka     30-34 M  unknown  -             7350         1.43  -
    """),
    # 23:30 in New York on the 8th; the refund arrived a day later.
    "gaelp_training.orders": Expected("""
        date        store_id  order_id  value   is_new_customer  is_refunded  refunded_at       ordered_at
        2026-06-08  s1        o1        199.99  true             true         2026-06-09 12:00  2026-06-09 03:30
    """),
    "gaelp_training.creative_objects": Expected("""
        platform  account_id  creative_id  headline  created_on  first_seen  last_seen
        meta      m1          cr1          Néw       2026-05-01  2026-06-08  2026-06-09
    """),
    # f1's budgets: its cost over its days with data in the week, so 1.51 = (1 + 2.02) / 2 on the 9th.
    "gaelp_training.budget_levers": Expected("""
        date        platform  account_id  lever_id  lever_level  lever_source  track       current_budget  budget_increment  is_shared  learning_state  last_edited_at    status  arms
        2026-06-01  shop      f1          f-a       ad           declared      security    4.01            0.01              false      active          -                 active  1
        2026-06-01  shop      f1          f-b       ad           declared      security    6               0.01              false      active          -                 active  1
        2026-06-08  shop      f1          f-a       ad           declared      security    1               0.01              false      active          -                 active  1
        2026-06-09  meta      m1          L1        adset        platform      security    50              0.01              false      active          2026-06-07 23:30  active  1
        2026-06-09  meta      m1          L2        campaign     platform      unassigned  500             -                 -          -               -                 paused  1
        2026-06-09  shop      f1          f-a       ad           declared      security    1.51            0.01              false      active          -                 active  1
        2026-06-10  meta      m1          L1        adset        platform      security    52.5            0.01              false      active          2026-06-07 23:30  active  1
        2026-06-10  meta      m1          L2        campaign     platform      unassigned  500             -                 -          -               -                 paused  1
    """),
    "intermediate.int_campaign_tracks": Expected("""
        platform    account_id  campaign_id  track
        google_ads  g1          gc           balance
        kag         k1          kc           security
        linkedin    l1          lg           security
        meta        m1          c1           security
        meta        m1          c2           unassigned
        meta        m2          c1           security
        shop        f1          fc           security
        shop        f2          fx           unassigned
        tiktok      t1          tc           balance
    """),
    # m1 has placements on the 8th only; on its other days, and where nothing says, it is the platform's name.
    "intermediate.int_placement_daily": Expected("""
        date        platform    account_id  track       placement          impressions  clicks  cost          conversions_click
        2026-06-01  shop        f1          security    shop               30           4       10.01         2
        2026-06-05  meta        m1          security    meta               1200         30      13.345678901  2
        2026-06-06  meta        m2          security    facebook_feed      250          2       2.5           0
        2026-06-07  meta        m1          security    meta               400          8       5.5           1
        2026-06-08  google_ads  g1          balance     display            800          5       1             0
        2026-06-08  google_ads  g1          balance     search             200          20      2             0.75
        2026-06-08  linkedin    l1          security    linkedin           50           2       9.5           1
        2026-06-08  meta        m1          security    facebook_feed      1500         30      15            3
        2026-06-08  meta        m1          security    instagram_stories  500          10      5             1
        2026-06-08  meta        m2          security    facebook_feed      300          3       3             0
        2026-06-08  meta        m2          security    instagram_feed     400          4       4             1
        2026-06-08  shop        f1          security    side               10           1       0.4           1
        2026-06-08  shop        f1          security    top                20           1       0.6           0
        2026-06-08  shop        f2          unassigned  top                11           2       3             0
        2026-06-08  tiktok      t1          balance     tiktok             700          0       7.000000001   1
        2026-06-09  meta        m1          security    meta               3000         60      30            7
        2026-06-09  shop        f1          security    shop               40           2       2.02          1
        2026-06-10  meta        m1          security    meta               4000         80      40            6
    """),
    "intermediate.int_levers": Expected("""
        platform  account_id  lever_id  arm_level  entity_id  is_current
        meta      m1          L1        adgroup    s1         true
        meta      m1          L2        campaign   c2         true
        shop      f1          f-a       ad         f-a        true
        shop      f1          f-b       ad         f-b        false
    """),
    "intermediate.int_arm_levers": Expected("""
        platform    account_id  ad_id  creative_id  lever_id  track
        google_ads  g1          ga     -            -         balance
        linkedin    l1          la     la           -         security
        meta        m1          a1     cr1          L1        security
        meta        m1          a3     -            L2        unassigned
        meta        m1          a7     -            -         security
        meta        m2          b1     cr1          -         security
        shop        f1          f-a    -            f-a       security
        shop        f1          f-b    -            -         security
        shop        f2          grp    -            -         unassigned
        tiktok      t1          ta     -            -         balance
    """),
    "intermediate.int_lever_daily": Expected("""
        date        platform  account_id  track       lever_id  clicks  cost          conversions_click  revenue
        2026-06-01  shop      f1          security    f-a       2       4.01          1                  -
        2026-06-01  shop      f1          security    f-b       2       6             1                  -
        2026-06-05  meta      m1          security    L1        30      13.345678901  2                  20
        2026-06-08  meta      m1          security    L1        40      20            4                  40
        2026-06-08  meta      m1          unassigned  L2        0       0             0                  -
        2026-06-08  shop      f1          security    f-a       2       1             1                  -
        2026-06-09  meta      m1          security    L1        60      30            7                  70
        2026-06-09  shop      f1          security    f-a       2       2.02          1                  -
        2026-06-10  meta      m1          security    L1        80      40            6                  60
    """),
    "intermediate.int_creative_daily": Expected("""
        date        platform    account_id  track       creative_id  impressions  cost
        2026-06-01  shop        f1          security    f-a          10           4.01
        2026-06-01  shop        f1          security    f-b          20           6
        2026-06-05  meta        m1          security    cr1          1200         13.345678901
        2026-06-06  meta        m2          security    cr1          250          2.5
        2026-06-07  meta        m1          security    a7           400          5.5
        2026-06-08  google_ads  g1          balance     ga           1000         3
        2026-06-08  linkedin    l1          security    la           50           9.5
        2026-06-08  meta        m1          security    cr1          2000         20
        2026-06-08  meta        m1          unassigned  a3           0            0
        2026-06-08  meta        m2          security    cr1          700          7
        2026-06-08  shop        f1          security    f-a          30           1
        2026-06-08  shop        f2          unassigned  grp          11           3
        2026-06-08  tiktok      t1          balance     ta           700          7.000000001
        2026-06-09  meta        m1          security    cr1          3000         30
        2026-06-09  shop        f1          security    f-a          40           2.02
        2026-06-10  meta        m1          security    cr1          4000         40
    """),
    # Leading digits of ad costs: 4.01 and 6 on the 1st, 0 has none.
    "intermediate.int_account_days": Expected("""
        date        platform    account_id  rows  cost          cost_digit_1  cost_digit_2  cost_digit_3  cost_digit_4  cost_digit_6  cost_digit_7  cost_digit_9
        2026-06-01  shop        f1          2     10.01         0             0             0             1             1             0             0
        2026-06-05  meta        m1          1     13.345678901  1             0             0             0             0             0             0
        2026-06-06  meta        m2          1     2.5           0             1             0             0             0             0             0
        2026-06-07  meta        m1          1     5.5           0             0             0             0             0             0             0
        2026-06-08  google_ads  g1          1     3             0             0             1             0             0             0             0
        2026-06-08  linkedin    l1          1     9.5           0             0             0             0             0             0             1
        2026-06-08  meta        m1          2     20            0             1             0             0             0             0             0
        2026-06-08  meta        m2          1     7             0             0             0             0             0             1             0
        2026-06-08  shop        f1          1     1             1             0             0             0             0             0             0
        2026-06-08  shop        f2          1     3             0             0             1             0             0             0             0
        2026-06-08  tiktok      t1          1     7.000000001   0             0             0             0             0             1             0
        2026-06-09  meta        m1          1     30            0             0             1             0             0             0             0
        2026-06-09  shop        f1          1     2.02          0             1             0             0             0             0             0
        2026-06-10  meta        m1          1     40            0             0             0             1             0             0             0
    """),
}
