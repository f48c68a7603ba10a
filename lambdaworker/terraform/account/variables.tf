variable "region" {
  description = "The region of the images, and of the functions that run them."
  type        = string
}

variable "github_repository" {
  description = "OWNER/NAME of the repository whose workflow may push images. Empty: none may."
  type        = string
  default     = ""

  validation {
    condition     = var.github_repository == "" || can(regex("^[\\w.-]+/[\\w.-]+$", var.github_repository))
    error_message = "It should look like OWNER/NAME."
  }
}

variable "create_oidc_provider" {
  description = "Whether to make the account's trust in GitHub; an account has one at most."
  type        = bool
  default     = true
}

variable "images_kept" {
  description = "So many images are kept, to go back to."
  type        = number
  default     = 20
}
