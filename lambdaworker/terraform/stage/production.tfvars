stage       = "production"
concurrency = 25
log_days    = 30
