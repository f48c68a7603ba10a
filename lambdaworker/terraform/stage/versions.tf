terraform {
  # Locks in S3 without a table of DynamoDB's came with 1.10.
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.70"
    }
  }

  # `terraform init` gets the place of the state: docs/lambda-deployment.md.
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = { project = "faces", managed-by = "terraform", stage = var.stage }
  }
}
