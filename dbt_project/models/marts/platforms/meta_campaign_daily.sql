-- meta_campaign_daily: one row per Meta account, campaign and account-local day.
{{ rows_of_platform(ref('ads_campaign_daily'), 'meta') }}
