stage       = "staging"
concurrency = 2
log_days    = 7
