variable "region" {
  description = "The region of the function: that of the images."
  type        = string
}

variable "stage" {
  description = "staging or production: each has its own function, queue, alarms and state."
  type        = string

  validation {
    condition     = contains(["staging", "production"], var.stage)
    error_message = "It is staging or production."
  }
}

variable "architecture" {
  description = "What the image was built for. dlib-bin, in the version of requirements/lambda.txt, has wheels for x86_64 alone."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "It is x86_64 or arm64."
  }
}

variable "memory_mb" {
  description = "Its memory, and with it its share of a core: a whole one at 1769 MB."
  type        = number
  default     = 512

  validation {
    condition     = var.memory_mb >= 512 && var.memory_mb <= 10240
    error_message = "The models and one photo need 512 MB; Lambda gives 10240 at most."
  }
}

variable "timeout_s" {
  description = "How long an invocation, of 20 sources by default, may take."
  type        = number
  default     = 300

  validation {
    condition     = var.timeout_s >= 30 && var.timeout_s <= 900
    error_message = "It is 30 to 900 seconds."
  }
}

variable "concurrency" {
  description = "So many invocations at most run at a time: each calls back, and the service must keep up."
  type        = number
  default     = 10

  validation {
    condition     = var.concurrency >= 1
    error_message = "At 0 nothing would run."
  }
}

variable "log_days" {
  description = "How long logs are kept. They hold no tokens, addresses or faces."
  type        = number
  default     = 30
}

variable "alarm_email" {
  description = "Address for alarms; AWS asks it to confirm by mail. Empty: none."
  type        = string
  default     = ""
}

variable "settings" {
  description = "Environment of the function, as FACES_SENTRY_DSN or FACES_LOG_LEVEL."
  type        = map(string)
  default     = {}
  sensitive   = true

  validation {
    condition     = alltrue([for name in keys(nonsensitive(var.settings)) : !startswith(name, "AWS_")])
    error_message = "Names that begin with AWS_ are Lambda's own."
  }
}
