-- stg_ga4__conversions: one row per property, purchase event and property day, as the browser sent it.
-- A page that is loaded again sends its purchase again: ga4_lagged_daily counts a transaction once.
select
    platform,
    account_id,
    date,
    export_kind,
    event_hash,
    event_at,
    user_pseudo_id_hash,
    user_id_hash,
    ga_session_id,
    gclid,
    fbclid,
    analytics_storage,
    ads_storage,
    transaction_id,
    purchase_revenue
from {{ ref('stg_ga4__events') }}
where event_name = 'purchase'
