-- meta_ad_daily: one row per Meta account, ad and account-local day.
{{ rows_of_platform(ref('ads_ad_daily'), 'meta') }}
