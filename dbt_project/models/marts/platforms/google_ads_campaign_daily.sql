-- google_ads_campaign_daily: one row per Google Ads account, campaign and account-local day.
{{ rows_of_platform(ref('ads_campaign_daily'), 'google_ads') }}
