# Where the marts are. Another project that imports this one overrides the constants; nothing generated names them.
project_name: "aelp"

constant: connection {
  value: "aelp"
  export: override_required
}

constant: bigquery_project {
  value: "your-project"
  export: override_required
}

constant: dataset_prefix {
  value: ""
  export: override_optional
}
