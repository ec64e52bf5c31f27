-- linkedin_ad_daily: one row per LinkedIn account, ad and account-local day.
{{ rows_of_platform(ref('ads_ad_daily'), 'linkedin') }}
