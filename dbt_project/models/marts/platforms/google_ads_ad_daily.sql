-- google_ads_ad_daily: one row per Google Ads account, ad and account-local day.
{{ rows_of_platform(ref('ads_ad_daily'), 'google_ads') }}
