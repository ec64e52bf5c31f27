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
        date        account_id  ad_id  impressions  clicks  inline_link_clicks  unique_inline_link_clicks  spend         purchases_7d_click  purchases_1d_view  purchase_value_7d_click  video_3s_views  video_p25  video_p100
        2026-06-05  m1          a1     1200         66      30                  25                         13.345678901  2                   0                  20                      -               -          -
        2026-06-08  m1          a1     2000         80      40                  35                         20            4                   2                  40                      -               -          -
        2026-06-08  m1          a3     0            -       -                   -                          -             -                   -                  -                       -               -          -
        2026-06-09  m1          a1     3000         120     60                  50                         30            7                   1                  70                      -               -          -
        2026-06-10  m1          a1     4000         160     80                  70                         40            6                   0                  60                      900             -          45
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
        2026-06-10  google_ads  g2          px           Security max      px          px     -            80           6       3             1            0                 30       0.075  1/6    0.5              USD
        2026-06-10  google_ads  g2          sc           Security search   sg          sa     -            200          20      4             3            0                 60       0.1    0.15   0.2              USD
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
        2026-06-10  google_ads  g2          px           80           6       3             0.075  1/6    0.5
        2026-06-10  google_ads  g2          sc           200          20      4             0.1    0.15   0.2
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
        2026-06-10  google_ads  g2          px     0.075  0.075     -                80              -                             0.075      0.075        -
        2026-06-10  google_ads  g2          sa     0.1    0.1       -                200             -                             0.1        0.1          -
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
    # Two calls in one row; k3 has no session of its own, and the 9th's key events were never read.
    "gaelp_training.ga4_daily": Expected("""
        date        account_id  session_source  session_medium  session_campaign  device_category  sessions  engaged_sessions  users  conversions  purchases  revenue  engagement_rate  conversions_per_session  is_estimate
        2026-06-08  p1          (direct)        (none)          (not set)         desktop          4         1                 4      0            0          0        0.25             0                        true
        2026-06-08  p1          (not set)       (not set)       (not set)         mobile           0         0                 0      1            1          0        -                -                        false
        2026-06-08  p1          google          cpc             Security search   mobile           10        6                 9      3.25         2.25       25       0.6              0.325                    false
        2026-06-09  p1          google          cpc             Security search   mobile           3         3                 3      -            -          -        1                -                        false
    """),
    # The reload counts once; the visit of the 7th came late and takes u2's purchase from (direct).
    "gaelp_training.ga4_lagged_daily": Expected("""
        date        visit_date  lag_days  account_id  session_source  session_medium  session_campaign  purchases  revenue
        2026-06-08  2026-06-05  3         p1          google          cpc             Security search   1          50
        2026-06-08  2026-06-07  1         p1          facebook        (not set)       (not set)         1          10
        2026-06-08  2026-06-08  0         p1          (not set)       (not set)       (not set)         1          19.99
        2026-06-09  2026-06-09  0         p1          google          cpc             (not set)         1          7
    """),
    "gaelp_training.creative_objects": Expected("""
        platform  account_id  creative_id  headline  content_sha256  video_sha256  created_on  first_seen  last_seen
        meta      m1          cr1          Néw       aa11            -             2026-05-01  2026-06-08  2026-06-09
        meta      m1          cr2          Seen      cc33            ee55          -           2026-06-09  2026-06-09
        meta      m1          cr3          Lost      cc33            ee55          -           2026-06-09  2026-06-09
    """),
    # m1's views are known of one day alone: 900 of its 4,000 impressions. Nobody counts as another does.
    "gaelp_training.creative_video_views": Expected("""
        platform  account_id  creative_id  first_date  impressions  video_plays  video_2s_views  video_3s_views  video_6s_views  video_thruplays  video_p25  video_p100  hook_definition         hook_rate  hold_definition      hold_rate
        linkedin  l1          la           2026-06-08  50           48           20              -               -               -                12         6           2_seconds_half_in_view  0.4        -                    -
        meta      m1          cr1          2026-06-10  4000         -            -               900             -               180              -          45          3_seconds               0.225      15_seconds_or_whole  0.2
        tiktok    t1          ta           2026-06-08  700          640          280             -               70              -                -          14          2_seconds               0.4        6_seconds_or_whole   0.25
    """),
    "intermediate.int_video_views_daily": Expected("""
        date        platform  account_id  ad_id  creative_id  impressions  video_plays  hook_definition         hook_views  hold_definition      hold_views
        2026-06-08  linkedin  l1          la     la           50           48           2_seconds_half_in_view  20          -                    -
        2026-06-08  tiktok    t1          ta     ta           700          640          2_seconds               280         6_seconds_or_whole   70
        2026-06-10  meta      m1          a1     cr1          4000         -            3_seconds               900         15_seconds_or_whole  180
    """),
    # Newer than a day is not matured, so m1's 10th; f-a met f-b on the 1st alone. Nothing ran for 30 days, no search is whole.
    "gaelp_training.creative_history": Expected("""
        platform    account_id  track       creative_id  placement          first_date  last_date   days_shown  impressions  clicks  cost          ctr       matured_clicks  matured_conversions  cvr     ctr_against_others  rates_version  season_ctr  season_version  cpm_against_trailing  auction_version  competitor_ads  competitors_version
        google_ads  g1          balance     ga           display            2026-06-08  2026-06-08  1           800          5       1             0.00625   5               0                    0       -                   rates_v1       -           -               -                     -                -               -
        google_ads  g1          balance     ga           search             2026-06-08  2026-06-08  1           200          20      2             0.1       20              0.75                 0.0375  -                   rates_v1       -           -               -                     -                -               -
        google_ads  g2          security    px           mixed              2026-06-10  2026-06-10  1           80           6       3             0.075     6               1                    1/6     -                   rates_v1       -           -               -                     -                -               -
        google_ads  g2          security    sa           search             2026-06-10  2026-06-10  1           200          20      4             0.1       20              3                    0.15    -                   rates_v1       -           -               -                     -                -               -
        linkedin    l1          security    la           linkedin           2026-06-08  2026-06-08  1           50           2       9.5           0.04      2               1                    0.5     -                   rates_v1       -           -               -                     -                -               -
        meta        m1          security    a7           meta               2026-06-07  2026-06-07  1           400          8       5.5           0.02      8               1                    0.125   -                   rates_v1       -           -               -                     -                -               -
        meta        m1          security    cr1          facebook_feed      2026-06-08  2026-06-08  1           1500         30      15            0.02      30              3                    0.1     -                   rates_v1       -           -               -                     -                -               -
        meta        m1          security    cr1          instagram_stories  2026-06-08  2026-06-08  1           500          10      5             0.02      10              1                    0.1     -                   rates_v1       -           -               -                     -                -               -
        meta        m1          security    cr1          meta               2026-06-05  2026-06-10  3           8200         170     83.345678901  170/8200  90              9                    0.1     -                   rates_v1       -           -               -                     -                -               -
        meta        m2          security    cr1          facebook_feed      2026-06-06  2026-06-08  2           550          5       5.5           5/550     5               0                    0       -                   rates_v1       -           -               -                     -                -               -
        meta        m2          security    cr1          instagram_feed     2026-06-08  2026-06-08  1           400          4       4             0.01      4               1                    0.25    -                   rates_v1       -           -               -                     -                -               -
        shop        f1          security    f-a          shop               2026-06-01  2026-06-09  2           50           4       6.03          0.08      4               2                    0.5     2                   rates_v1       -           -               -                     -                -               -
        shop        f1          security    f-a          side               2026-06-08  2026-06-08  1           10           1       0.4           0.1       1               1                    1       -                   rates_v1       -           -               -                     -                -               -
        shop        f1          security    f-a          top                2026-06-08  2026-06-08  1           20           1       0.6           0.05      1               0                    0       -                   rates_v1       -           -               -                     -                -               -
        shop        f1          security    f-b          shop               2026-06-01  2026-06-01  1           20           2       6             0.1       2               1                    0.5     0.5                 rates_v1       -           -               -                     -                -               -
        shop        f2          unassigned  grp          top                2026-06-08  2026-06-08  1           11           2       3             2/11      2               0                    0       -                   rates_v1       -           -               -                     -                -               -
        tiktok      t1          balance     ta           tiktok             2026-06-08  2026-06-08  1           700          0       7.000000001   0         0               1                    -       -                   rates_v1       -           -               -                     -                -               -
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
        google_ads  g2          px           security
        google_ads  g2          sc           security
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
        2026-06-10  google_ads  g2          security    mixed              80           6       3             1
        2026-06-10  google_ads  g2          security    search             200          20      4             3
    """),
    "intermediate.int_creative_placement_daily": Expected("""
        date        platform    account_id  track       creative_id  placement          impressions  clicks  cost          conversions_click
        2026-06-01  shop        f1          security    f-a          shop               10           2       4.01          1
        2026-06-01  shop        f1          security    f-b          shop               20           2       6             1
        2026-06-05  meta        m1          security    cr1          meta               1200         30      13.345678901  2
        2026-06-06  meta        m2          security    cr1          facebook_feed      250          2       2.5           0
        2026-06-07  meta        m1          security    a7           meta               400          8       5.5           1
        2026-06-08  google_ads  g1          balance     ga           display            800          5       1             0
        2026-06-08  google_ads  g1          balance     ga           search             200          20      2             0.75
        2026-06-08  linkedin    l1          security    la           linkedin           50           2       9.5           1
        2026-06-08  meta        m1          security    cr1          facebook_feed      1500         30      15            3
        2026-06-08  meta        m1          security    cr1          instagram_stories  500          10      5             1
        2026-06-08  meta        m2          security    cr1          facebook_feed      300          3       3             0
        2026-06-08  meta        m2          security    cr1          instagram_feed     400          4       4             1
        2026-06-08  shop        f1          security    f-a          side               10           1       0.4           1
        2026-06-08  shop        f1          security    f-a          top                20           1       0.6           0
        2026-06-08  shop        f2          unassigned  grp          top                11           2       3             0
        2026-06-08  tiktok      t1          balance     ta           tiktok             700          0       7.000000001   1
        2026-06-09  meta        m1          security    cr1          meta               3000         60      30            7
        2026-06-09  shop        f1          security    f-a          shop               40           2       2.02          1
        2026-06-10  meta        m1          security    cr1          meta               4000         80      40            6
        2026-06-10  google_ads  g2          security    px           mixed              80           6       3             1
        2026-06-10  google_ads  g2          security    sa           search             200          20      4             3
    """),
    "intermediate.int_levers": Expected("""
        platform  account_id  lever_id  arm_level  entity_id  last_seen   is_current
        meta      m1          L1        adgroup    s1         2026-06-10  true
        meta      m1          L2        campaign   c2         2026-06-10  true
        shop      f1          f-a       ad         f-a        2026-06-09  true
        shop      f1          f-b       ad         f-b        2026-06-01  false
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
        google_ads  g2          px     -            -         security
        google_ads  g2          sa     -            -         security
    """),
    "intermediate.int_arms": Expected("""
        platform  account_id  track       lever_id  arm_kind  arm_id  adgroup_id  status
        meta      m1          security    L1        ad        a1      s1          -
        meta      m1          unassigned  L2        ad        a3      s2          -
        meta      m1          unassigned  L2        adgroup   s2      s2          -
    """),
    # Three readings of one spend: banners a and b add up to their ad group.
    "intermediate.int_arm_daily": Expected("""
        date        platform    account_id  arm_kind  arm_id  clicks  cost          conversions_click  is_matured
        2026-06-01  shop        f1          ad        f-a     2       4.01          1                  true
        2026-06-01  shop        f1          ad        f-b     2       6             1                  true
        2026-06-05  meta        m1          ad        a1      30      13.345678901  2                  true
        2026-06-06  meta        m2          ad        b1      2       2.5           0                  true
        2026-06-07  meta        m1          ad        a7      8       5.5           1                  true
        2026-06-08  google_ads  g1          ad        ga      25      3             0.75               true
        2026-06-08  linkedin    l1          ad        la      2       9.5           1                  true
        2026-06-08  meta        m1          ad        a1      40      20            4                  true
        2026-06-08  meta        m1          ad        a3      0       0             0                  true
        2026-06-08  meta        m2          ad        b1      7       7             1                  true
        2026-06-08  shop        f1          ad        f-a     2       1             1                  true
        2026-06-08  shop        f2          ad        grp     2       3             0                  true
        2026-06-08  tiktok      t1          ad        ta      0       7.000000001   1                  true
        2026-06-09  meta        m1          ad        a1      60      30            7                  true
        2026-06-09  shop        f1          ad        f-a     2       2.02          1                  true
        2026-06-10  google_ads  g2          ad        px      6       3             1                  true
        2026-06-10  google_ads  g2          ad        sa      20      4             3                  true
        2026-06-10  meta        m1          ad        a1      80      40            6                  false
        2026-06-01  shop        f1          adgroup   fg      4       10.01         2                  true
        2026-06-05  meta        m1          adgroup   s1      30      13.345678901  2                  true
        2026-06-06  meta        m2          adgroup   s9      2       2.5           0                  true
        2026-06-07  meta        m1          adgroup   s7      8       5.5           1                  true
        2026-06-08  google_ads  g1          adgroup   gg      25      3             0.75               true
        2026-06-08  linkedin    l1          adgroup   lc      2       9.5           1                  true
        2026-06-08  meta        m1          adgroup   s1      40      20            4                  true
        2026-06-08  meta        m1          adgroup   s2      0       0             0                  true
        2026-06-08  meta        m2          adgroup   s9      7       7             1                  true
        2026-06-08  shop        f1          adgroup   fg      2       1             1                  true
        2026-06-08  shop        f2          adgroup   grp     2       3             0                  true
        2026-06-08  tiktok      t1          adgroup   tg      0       7.000000001   1                  true
        2026-06-09  meta        m1          adgroup   s1      60      30            7                  true
        2026-06-09  shop        f1          adgroup   fg      2       2.02          1                  true
        2026-06-10  google_ads  g2          adgroup   px      6       3             1                  true
        2026-06-10  google_ads  g2          adgroup   sg      20      4             3                  true
        2026-06-10  meta        m1          adgroup   s1      80      40            6                  false
        2026-06-10  google_ads  g2          keyword   sg~kw   20      4             -                  true
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
    "intermediate.int_track_daily": Expected("""
        date        platform  account_id  track       impressions  clicks  cost          conversions_click  conversions_view
        2026-06-01  shop      f1          security    30           4       10.01         2                  0
        2026-06-05  meta      m1          security    1200         30      13.345678901  2                  0
        2026-06-08  meta      m1          security    2000         40      20            4                  2
        2026-06-08  meta      m1          unassigned  0            0       0             0                  0
        2026-06-08  shop      f1          security    30           2       1             1                  0
        2026-06-09  meta      m1          security    3000         60      30            7                  1
        2026-06-09  shop      f1          security    40           2       2.02          1                  0
        2026-06-10  meta      m1          security    4000         80      40            6                  0
    """),
    # By the landed definition a cohort is judged at the age of a day; m1's youngest is that old and not older, and of
    # m1 no delay is known.
    "gaelp_training.reward_daily": Expected("""
        date        platform  account_id  track       lever_id  cost          conversions_click  age  is_matured  completion  completion_sd  corrected_click_conversions  reward  reward_version
        2026-06-01  shop      f1          security    f-a       4.01          1                  10   true        1           0              1                            1       v1
        2026-06-01  shop      f1          security    f-b       6             1                  10   true        1           0              1                            1       v1
        2026-06-05  meta      m1          security    L1        13.345678901  2                  6    true        1           0              2                            2       v1
        2026-06-08  meta      m1          security    L1        20            4                  3    true        1           0              4                            4.5     v1
        2026-06-08  meta      m1          unassigned  L2        0             0                  3    true        1           0              0                            0       v1
        2026-06-08  shop      f1          security    f-a       1             1                  3    true        1           0              1                            1       v1
        2026-06-09  meta      m1          security    L1        30            7                  2    true        1           0              7                            7.25    v1
        2026-06-09  shop      f1          security    f-a       2.02          1                  2    true        1           0              1                            1       v1
        2026-06-10  meta      m1          security    L1        40            6                  1    false       -           -              -                            -       v1
    """),
    "intermediate.int_creative_daily": Expected("""
        date        platform    account_id  track       creative_id  impressions  cost          is_matured
        2026-06-01  shop        f1          security    f-a          10           4.01          true
        2026-06-01  shop        f1          security    f-b          20           6             true
        2026-06-05  meta        m1          security    cr1          1200         13.345678901  true
        2026-06-06  meta        m2          security    cr1          250          2.5           true
        2026-06-07  meta        m1          security    a7           400          5.5           true
        2026-06-08  google_ads  g1          balance     ga           1000         3             true
        2026-06-08  linkedin    l1          security    la           50           9.5           true
        2026-06-08  meta        m1          security    cr1          2000         20            true
        2026-06-08  meta        m1          unassigned  a3           0            0             true
        2026-06-08  meta        m2          security    cr1          700          7             true
        2026-06-08  shop        f1          security    f-a          30           1             true
        2026-06-08  shop        f2          unassigned  grp          11           3             true
        2026-06-08  tiktok      t1          balance     ta           700          7.000000001   true
        2026-06-09  meta        m1          security    cr1          3000         30            true
        2026-06-09  shop        f1          security    f-a          40           2.02          true
        2026-06-10  meta        m1          security    cr1          4000         40            false
        2026-06-10  google_ads  g2          security    px           80           3             true
        2026-06-10  google_ads  g2          security    sa           200          4             true
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
        2026-06-10  google_ads  g2          2     7             0             0             1             1             0             0             0
    """),
    "gaelp_training.ads_ad_performance": Expected("""
        date        account_id  campaign_id  ad_group_id  ad_id  network  device   impressions  clicks  cost  conversions  view_through_conversions  conversions_value
        2026-06-08  g1          gc           gg           ga     DISPLAY  MOBILE   800          5       1     -            2                         -
        2026-06-08  g1          gc           gg           ga     SEARCH   DESKTOP  100          10      0.9   0.25         -                         -
        2026-06-08  g1          gc           gg           ga     SEARCH   MOBILE   100          10      1.1   0.5          -                         20
        2026-06-10  g2          sc           sg           sa     SEARCH   MOBILE   200          20      4     3            -                         60
    """),
    # The control total, and conversions by action; a primary action's conversions are among all_conversions.
    "gaelp_training.ads_campaign_performance": Expected("""
        date        account_id  campaign_id  channel_type     network  device   impressions  clicks  cost  conversions  conversions_value  video_views  video_view_rate
        2026-06-10  g2          px           PERFORMANCE_MAX  MIXED    DESKTOP  30           1       0.5   -            -                  -            -
        2026-06-10  g2          px           PERFORMANCE_MAX  MIXED    MOBILE   50           5       2.5   1            30                 10           0.2
        2026-06-10  g2          sc           SEARCH           SEARCH   MOBILE   200          20      4     3            60                 -            -
    """),
    "gaelp_training.ads_conversion_action_stats": Expected("""
        date        account_id  campaign_id  ad_group_id  conversion_action_id  conversion_action_name  conversions  conversions_value  all_conversions
        2026-06-10  g2          px           __none__     11                    Purchase                1            -                  1.5
        2026-06-10  g2          sc           sg           11                    Purchase                3            60                 3
        2026-06-10  g2          sc           sg           12                    Newsletter              0            -                  4
    """),
    "gaelp_training.meta_campaign_daily": Expected("""
        date        platform  account_id  campaign_id  cost
        2026-06-05  meta      m1          c1           13.345678901
        2026-06-06  meta      m2          c1           2.5
        2026-06-07  meta      m1          c1           5.5
        2026-06-08  meta      m1          c1           20
        2026-06-08  meta      m1          c2           0
        2026-06-08  meta      m2          c1           7
        2026-06-09  meta      m1          c1           30
        2026-06-10  meta      m1          c1           40
    """),
    "gaelp_training.meta_ad_daily": Expected("""
        date        platform  account_id  ad_id  cost
        2026-06-05  meta      m1          a1     13.345678901
        2026-06-06  meta      m2          b1     2.5
        2026-06-07  meta      m1          a7     5.5
        2026-06-08  meta      m1          a1     20
        2026-06-08  meta      m1          a3     0
        2026-06-08  meta      m2          b1     7
        2026-06-09  meta      m1          a1     30
        2026-06-10  meta      m1          a1     40
    """),
    "gaelp_training.google_ads_campaign_daily": Expected("""
        date        platform    account_id  campaign_id  cost
        2026-06-08  google_ads  g1          gc           3
        2026-06-10  google_ads  g2          px           3
        2026-06-10  google_ads  g2          sc           4
    """),
    "gaelp_training.google_ads_ad_daily": Expected("""
        date        platform    account_id  ad_id  cost
        2026-06-08  google_ads  g1          ga     3
        2026-06-10  google_ads  g2          px     3
        2026-06-10  google_ads  g2          sa     4
    """),
    "gaelp_training.tiktok_campaign_daily": Expected("""
        date        platform  account_id  campaign_id  cost
        2026-06-08  tiktok    t1          tc           7.000000001
    """),
    "gaelp_training.tiktok_ad_daily": Expected("""
        date        platform  account_id  ad_id  cost
        2026-06-08  tiktok    t1          ta     7.000000001
    """),
    "gaelp_training.linkedin_campaign_daily": Expected("""
        date        platform  account_id  campaign_id  cost
        2026-06-08  linkedin  l1          lg           9.5
    """),
    "gaelp_training.linkedin_ad_daily": Expected("""
        date        platform  account_id  ad_id  cost
        2026-06-08  linkedin  l1          la     9.5
    """),
    # Everything was pulled on the 11th, but g2 to the 13th: the 10th is as mature as m1, pulled at one day.
    "gaelp_training.platform_vs_backend": Expected("""
        date        track       age  age_bucket  platform_conversions_click  platform_conversions_view  backend_orders  backend_new_customer_orders  backend_refunded_orders  click_conversions_per_order  view_conversions_per_order
        2026-06-01  security    10   8-14        2                           0                          0               0                            0                        -                            -
        2026-06-05  security    6    4-7         2                           0                          0               0                            0                        -                            -
        2026-06-06  security    5    4-7         0                           0                          0               0                            0                        -                            -
        2026-06-07  security    4    4-7         1                           0                          0               0                            0                        -                            -
        2026-06-08  balance     3    0-3         1.75                        5                          0               0                            0                        -                            -
        2026-06-08  security    3    0-3         7                           2                          1               1                            1                        7                            2
        2026-06-08  unassigned  3    0-3         0                           0                          0               0                            0                        -                            -
        2026-06-09  security    2    0-3         8                           1                          0               0                            0                        -                            -
        2026-06-10  security    1    0-3         10                          0                          0               0                            0                        -                            -
    """),
    # Two weeks of an agency's file, in the later of which TV was off, so that it is 0 from then on. No account was read on
    # all days of a week since, so the reports' weeks are not known; a week of June begins with a track's first delivery.
    "gaelp_training.mmm_input_weekly": Expected("""
        week        track       channel           told_by  spend  conversions  new_customers  revenue  event_share  trend  is_complete
        2026-05-18  security    google_ads_other  history  0      0            7              900.5    0            0      true
        2026-05-18  security    linkedin_other    history  0      0            7              900.5    0            0      true
        2026-05-18  security    shop_other        history  0      0            7              900.5    0            0      true
        2026-05-18  security    social            history  10.25  3.5          7              900.5    0            0      true
        2026-05-18  security    tv                history  40     3.5          7              900.5    0            0      true
        2026-05-25  security    google_ads_other  history  0      0            8              900.5    0.5          1      true
        2026-05-25  security    linkedin_other    history  0      0            8              900.5    0.5          1      true
        2026-05-25  security    shop_other        history  0      0            8              900.5    0.5          1      true
        2026-05-25  security    social            history  12     3.5          8              900.5    0.5          1      true
        2026-05-25  security    tv                history  0      0            8              900.5    0.5          1      true
        2026-06-01  security    google_ads_other  reports  -      -            -              -        0            2      false
        2026-06-01  security    linkedin_other    reports  -      -            -              -        0            2      false
        2026-06-01  security    shop_other        reports  -      -            -              -        0            2      false
        2026-06-01  security    social            reports  -      -            -              -        0            2      false
        2026-06-01  security    tv                reports  0      0            -              -        0            2      false
        2026-06-08  balance     google_ads_other  reports  -      -            -              -        0.25         0      false
        2026-06-08  balance     social            reports  -      -            -              -        0.25         0      false
        2026-06-08  security    google_ads_other  reports  -      -            -              -        0            3      false
        2026-06-08  security    linkedin_other    reports  -      -            -              -        0            3      false
        2026-06-08  security    shop_other        reports  -      -            -              -        0            3      false
        2026-06-08  security    social            reports  -      -            -              -        0            3      false
        2026-06-08  security    tv                reports  0      0            -              -        0            3      false
        2026-06-08  unassigned  shop_other        reports  -      -            -              -        0.25         0      false
        2026-06-08  unassigned  social            reports  -      -            -              -        0.25         0      false
    """),
    # Meta and TikTok by rule, the others in their platforms' own channels.
    "intermediate.int_campaign_channels": Expected("""
        platform    account_id  campaign_id  track       channel
        google_ads  g1          gc           balance     google_ads_other
        google_ads  g2          px           security    google_ads_other
        google_ads  g2          sc           security    google_ads_other
        kag         k1          kc           security    kag_other
        linkedin    l1          lg           security    linkedin_other
        meta        m1          c1           security    social
        meta        m1          c2           unassigned  social
        meta        m2          c1           security    social
        shop        f1          fc           security    shop_other
        shop        f2          fx           unassigned  shop_other
        tiktok      t1          tc           balance     social
    """),
    # Two batches of one age count as the last of them; the emptied 4th has none.
    "intermediate.int_conversions_as_known": Expected("""
        date        stream                     platform    account_id  age  conversions
        2026-06-01  file_ad_performance        shop        f1          10   2
        2026-06-04  meta_ads_insights          meta        m1          7    0
        2026-06-05  meta_ads_insights          meta        m1          6    2
        2026-06-07  file_ad_performance        meta        m1          4    1
        2026-06-08  file_ad_performance        shop        f1          3    1
        2026-06-08  google_ads_ad_performance  google_ads  g1          3    0.75
        2026-06-08  linkedin_ad_analytics      linkedin    l1          3    1
        2026-06-08  meta_ads_insights          meta        m1          3    4
        2026-06-08  tiktok_ads_report          tiktok      t1          3    1
        2026-06-09  file_ad_performance        shop        f1          2    1
        2026-06-09  meta_ads_insights          meta        m1          2    7
        2026-06-10  google_ads_ad_performance  google_ads  g2          1    1
        2026-06-10  google_ads_ad_performance  google_ads  g2          2    3
        2026-06-10  meta_ads_insights          meta        m1          1    6
    """),
    # g2's 10th was pulled again, unchanged, at age 3.
    "intermediate.int_conversion_ages": Expected("""
        date        platform    account_id  age
        2026-06-01  shop        f1          10
        2026-06-04  meta        m1          7
        2026-06-05  meta        m1          6
        2026-06-07  meta        m1          4
        2026-06-08  google_ads  g1          3
        2026-06-08  linkedin    l1          3
        2026-06-08  meta        m1          3
        2026-06-08  shop        f1          3
        2026-06-08  tiktok      t1          3
        2026-06-09  meta        m1          2
        2026-06-09  shop        f1          2
        2026-06-10  google_ads  g2          3
        2026-06-10  meta        m1          1
    """),
    # m2 and f2 told by placement alone; of g2's 10th the ads were pulled again at age 3, the campaigns last at age 2.
    # By the landed definition a day is matured past age 1.
    "intermediate.int_report_ages": Expected("""
        date        platform    account_id  conversion_age  youngest_age  is_matured
        2026-06-01  shop        f1          10              10            true
        2026-06-04  meta        m1          7               7             true
        2026-06-05  meta        m1          6               6             true
        2026-06-06  meta        m2          5               5             true
        2026-06-07  meta        m1          4               4             true
        2026-06-08  google_ads  g1          3               3             true
        2026-06-08  linkedin    l1          3               3             true
        2026-06-08  meta        m1          3               3             true
        2026-06-08  meta        m2          3               3             true
        2026-06-08  shop        f1          3               3             true
        2026-06-08  shop        f2          3               3             true
        2026-06-08  tiktok      t1          3               3             true
        2026-06-09  meta        m1          2               2             true
        2026-06-09  shop        f1          2               2             true
        2026-06-10  google_ads  g2          2               2             true
        2026-06-10  meta        m1          1               1             false
    """),
    # Only days pulled the day after say when conversions came; m1's was seen at one age, so no share is known.
    # Pulled on the 11th, g2 on the days after, too: the window of the events export alone is over, for two days.
    "gaelp_training.report_day_status": Expected("""
        stream                           platform    account_id  breakdown_set   date        last_pulled_age  final_after_days  is_final
        ga4_events                       ga4         p1          none            2026-06-05  6                4                 true
        ga4_events                       ga4         p1          none            2026-06-07  4                4                 true
        ga4_events                       ga4         p1          none            2026-06-08  3                4                 false
        ga4_events                       ga4         p1          none            2026-06-09  2                4                 false
        ga4_reports                      ga4         p1          key_events      2026-06-08  3                12                false
        ga4_reports                      ga4         p1          sessions        2026-06-08  3                12                false
        ga4_reports                      ga4         p1          sessions        2026-06-09  2                12                false
        google_ads_ad_performance        google_ads  g1          network_device  2026-06-08  3                30                false
        google_ads_ad_performance        google_ads  g2          network_device  2026-06-10  3                30                false
        google_ads_campaign_by_hour      google_ads  g2          hour            2026-06-10  2                30                false
        google_ads_campaign_performance  google_ads  g2          network_device  2026-06-10  2                30                false
        google_ads_conversions           google_ads  g2          action          2026-06-10  2                30                false
        google_ads_demographics          google_ads  g2          age             2026-06-10  2                30                false
        google_ads_demographics          google_ads  g2          gender          2026-06-10  2                30                false
        impact_actions                   impact      i1          none            2026-06-08  3                90                false
        linkedin_ad_analytics            linkedin    l1          none            2026-06-08  3                35                false
        meta_ads_insights                meta        m1          none            2026-06-04  7                28                false
        meta_ads_insights                meta        m1          none            2026-06-05  6                28                false
        meta_ads_insights                meta        m1          none            2026-06-08  3                28                false
        meta_ads_insights                meta        m1          none            2026-06-09  2                28                false
        meta_ads_insights                meta        m1          none            2026-06-10  1                28                false
        meta_ads_insights_by_hour        meta        m1          hour            2026-06-10  1                3                 false
        meta_ads_insights_by_placement   meta        m1          placement       2026-06-08  3                28                false
        meta_ads_insights_by_placement   meta        m2          placement       2026-06-06  5                28                false
        meta_ads_insights_by_placement   meta        m2          placement       2026-06-08  3                28                false
        meta_ads_insights_by_segment     meta        m1          age_gender      2026-06-10  1                28                false
        tiktok_ads_report                tiktok      t1          none            2026-06-08  3                28                false
    """),
    "gaelp_training.conversion_delay": Expected("""
        platform    account_id  age  cohort_days  conversions_arrived  conversions_known  conversions_known_before  share_arrived
        google_ads  g2          1    1            1                    -                  -                         1/3
        google_ads  g2          2    1            2                    3                  1                         1
        google_ads  g2          3    1            0                    3                  3                         1
        meta        m1          1    1            6                    -                  -                         -
    """),
    # Records: what logs and snapshots tell again counts once, as last told.
    "staging.stg_google_ads__changes": Expected("""
        platform    account_id  change_id  first_seen  last_seen   changed_at        old_budget  new_budget
        google_ads  g1          ch1        2026-06-08  2026-06-09  2026-06-08 10:00  40          50
        google_ads  g1          ch2        2026-06-09  2026-06-09  2026-06-08 11:00  40          50
    """),
    "staging.stg_creatives__assets": Expected("""
        account_id  asset_kind       asset_id  name   width  length_seconds  content_sha256  byte_count  outcome  first_seen  last_seen
        m1          image            ha        a.png  320    -               aa11            7           fetched  2026-06-08  2026-06-09
        m1          image            hb        -      -      -               -               -           missing  2026-06-09  2026-06-09
        m1          video            v1        -      -      15.5            ee55            7           fetched  2026-06-09  2026-06-09
        m1          video_thumbnail  v1        -      -      15.5            cc33            7           fetched  2026-06-09  2026-06-09
        m2          image            ha        -      -      -               dd44            7           fetched  2026-06-09  2026-06-09
    """),
    "staging.stg_google_ads__entities": Expected("""
        account_id  entity_type        entity_id  name  is_primary
        g1          conversion_action  11         Buy   true
    """),
    "staging.stg_google_ads__recommendations": Expected("""
        account_id  recommendation_id  last_seen   current_budget  recommended_budget
        g1          rec1               2026-06-08  40              55.5
    """),
    "staging.stg_google_ads__keywords": Expected("""
        date        account_id  criterion_id  keyword_text  clicks  cost
        2026-06-10  g2          kw            alarm         20      4
    """),
    "staging.stg_meta__entities": Expected("""
        account_id  entity_type  entity_id  last_seen   status  daily_budget
        m1          ad           a2         2026-06-08  ACTIVE  -
        m1          campaign     c1         2026-06-09  PAUSED  50
    """),
    "staging.stg_meta__activities": Expected("""
        account_id  activity_id  event_at          actor_name
        m1          act1         2026-06-09 12:00  Jo
    """),
    "staging.stg_meta__hourly_spend": Expected("""
        date        account_id  campaign_id  adset_id  hour  impressions  spend
        2026-06-10  m1          c1           s1        13    90           1.5
    """),
    "staging.stg_platforms__intraday_spend": Expected("""
        date        platform    account_id  campaign_id  adgroup_id  hour      spend
        2026-06-09  google_ads  g2          c9           __none__    0         2.5
        2026-06-09  google_ads  g2          c9           __none__    1         4
        2026-06-10  linkedin    l1          gr           li          __none__  12.345
    """),
    "staging.stg_meta__insights_by_hour": Expected("""
        date        account_id  adset_id  hour  impressions  inline_link_clicks  spend
        2026-06-10  m1          s1        09    1500         30                  15
        2026-06-10  m1          s1        13    2500         50                  25
    """),
    "staging.stg_meta__insights_by_segment": Expected("""
        date        account_id  adset_id  age    gender  spend  purchases_7d_click  purchases_1d_view
        2026-06-10  m1          s1        25-34  female  30     5                   1
        2026-06-10  m1          s1        25-34  male    10     1                   0
    """),
    "staging.stg_google_ads__campaign_by_hour": Expected("""
        date        account_id  campaign_id  hour  conversions
        2026-06-10  g2          sc           21    2
        2026-06-10  g2          sc           9     1
    """),
    "staging.stg_google_ads__demographics": Expected("""
        date        account_id  ad_group_id  breakdown_set  criterion_id  segment  conversions
        2026-06-10  g2          sg           age            503002        25-34    3
        2026-06-10  g2          sg           gender         11            female   3
    """),
    # Google's accounts have no levers here; the rules of its breakdowns are the model's unit test.
    "gaelp_training.context_daily": Expected("""
        date        platform  account_id  track     lever_id  dimension  breakdown   value              cost  impressions  clicks  conversions_click  conversions_view
        2026-06-08  meta      m1          security  L1        placement  placement   facebook_feed      15    1500         30      3                  -
        2026-06-08  meta      m1          security  L1        placement  placement   instagram_stories  5     500          10      1                  -
        2026-06-08  meta      m1          security  L1        segment    device      mobile_app         20    2000         40      4                  -
        2026-06-08  shop      f1          security  f-a       placement  placement   side               0.4   10           1       1                  -
        2026-06-08  shop      f1          security  f-a       placement  placement   top                0.6   20           1       -                  -
        2026-06-10  meta      m1          security  L1        daypart    hour        09                 15    1500         30      -                  -
        2026-06-10  meta      m1          security  L1        daypart    hour        13                 25    2500         50      -                  -
        2026-06-10  meta      m1          security  L1        segment    age_gender  25-34 female       30    3000         60      5                  1
        2026-06-10  meta      m1          security  L1        segment    age_gender  25-34 male         10    1000         20      1                  0
    """),
    "staging.stg_impact__actions": Expected("""
        date        platform  account_id  action_id  state     amount  payout
        2026-06-08  impact    i1          act        APPROVED  50      4.5
    """),
    "staging.stg_ga4__reports": Expected("""
        date        account_id  report      dimensions_hash  session_source  event_name  sessions  key_events  data_loss_from_other_row
        2026-06-08  p1          sessions    h1               google          -           10        -           -
        2026-06-08  p1          sessions    h2               (direct)        -           4         -           true
        2026-06-08  p1          key_events  k1               google          purchase    -         2.25        -
        2026-06-08  p1          key_events  k2               google          sign_up     -         1           -
        2026-06-08  p1          key_events  k3               -               purchase    -         1           -
        2026-06-09  p1          sessions    h1               google          -           3         -           -
    """),
    "staging.stg_ga4__events": Expected("""
        date        account_id  export_kind  event_hash  event_name  event_at          user_pseudo_id_hash  purchase_revenue
        2026-06-05  p1          daily        e2          page_view   2026-06-05 10:00  u1                   -
        2026-06-07  p1          daily        e7          page_view   2026-06-07 20:00  u2                   -
        2026-06-08  p1          daily        e1          purchase    2026-06-08 12:00  -                    19.99
        2026-06-08  p1          daily        e3          purchase    2026-06-08 15:00  u1                   50
        2026-06-08  p1          daily        e4          purchase    2026-06-08 15:01  u1                   50
        2026-06-08  p1          daily        e5          purchase    2026-06-08 16:00  u2                   10
        2026-06-09  p1          daily        e6          purchase    2026-06-09 09:00  u1                   7
    """),
    "staging.stg_ga4__sessions": Expected("""
        date        account_id  user_pseudo_id_hash  ga_session_id  started_at        ended_at          events  page_views  purchases  source    medium  campaign         gclid  fbclid
        2026-06-05  p1          u1                   u1.05          2026-06-05 10:00  2026-06-05 10:00  1       1           0          google    cpc     Security search  -      -
        2026-06-07  p1          u2                   u2.07          2026-06-07 20:00  2026-06-07 20:00  1       1           0          facebook  -       -                -      f
        2026-06-08  p1          u1                   u1.08          2026-06-08 15:00  2026-06-08 15:01  2       0           2          -         -       -                -      -
        2026-06-08  p1          u2                   u2.08          2026-06-08 16:00  2026-06-08 16:00  1       0           1          -         -       -                -      -
        2026-06-09  p1          u1                   u1.09          2026-06-09 09:00  2026-06-09 09:00  1       0           1          google    cpc     -                g      -
    """),
    "staging.stg_ga4__conversions": Expected("""
        date        account_id  event_hash  event_at          user_pseudo_id_hash  ga_session_id  transaction_id  gclid  purchase_revenue
        2026-06-08  p1          e1          2026-06-08 12:00  -                    -              -               -      19.99
        2026-06-08  p1          e3          2026-06-08 15:00  u1                   u1.08          T1              -      50
        2026-06-08  p1          e4          2026-06-08 15:01  u1                   u1.08          T1              -      50
        2026-06-08  p1          e5          2026-06-08 16:00  u2                   u2.08          -               -      10
        2026-06-09  p1          e6          2026-06-09 09:00  u1                   u1.09          -               g      7
    """),
    "staging.stg_files__experiment_arms": Expected("""
        platform  account_id  test_id  arm      period_start  headline      image_id  hour      segment   unit_id   users  impressions  link_clicks  is_control  unreadable_numbers
        archive   x2          t1       0        2013-06-24    Look at 0     i1        __none__  __none__  __none__  -      2500         31           -           0
        archive   x2          t1       1        2013-06-24    Look at 1     i1        __none__  __none__  __none__  -      2500         40           -           0
        survey    x1          lift     control  2026-05-20    -             -         15        Chrome    u1        1      -            -            true        0
        survey    x1          lift     control  2026-05-20    -             -         15        Chrome    u2        1      -            -            true        0
        survey    x1          lift     exposed  2026-05-20    -             -         15        Chrome    u3        1      -            -            false       0
    """),
    # Two people of one arm, hour and browser add up; what a file does not tell is not 0.
    "intermediate.int_experiment_cells": Expected("""
        platform  account_id  test_id  arm      period_start  period_end  hour  segment  planned_share  is_control  users  impressions  link_clicks  positive_answers  answers
        archive   x2          t1       0        2013-06-24    2013-06-30  -     -        -              false       -      2500         31           -                 -
        archive   x2          t1       1        2013-06-24    2013-06-30  -     -        -              false       -      2500         40           -                 -
        survey    x1          lift     control  2026-05-20    2026-05-20  15    Chrome   0.5            true        2      -            -            1                 1
        survey    x1          lift     exposed  2026-05-20    2026-05-20  15    Chrome   0.5            false       1      -            -            0                 1
    """),
    "intermediate.int_experiment_arms": Expected("""
        platform  account_id  test_id  arm      creative_id  headline   body         description  image_id  content_sha256
        archive   x2          t1       0        -            Look at 0  <p>This</p>  -            i1        -
        archive   x2          t1       1        -            Look at 1  <p>This</p>  -            i1        -
        survey    x1          lift     control  -            -          -            -            -         -
        survey    x1          lift     exposed  -            -          -            -            -         -
    """),
    "staging.stg_vendor_files__creatives": Expected("""
        date        account_id  creative_id  row_no  headline  created_on
        2026-06-08  acme        v1           1       Öl        2026-06-01
    """),
    "staging.stg_ad_library__ads": Expected("""
        account_id  query_hash  ad_archive_id  last_seen   spend_upper  search_truncated
        us          q1          ad1            2026-06-09  199          true
    """),
}
