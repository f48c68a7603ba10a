# The images of both stages: what production runs is the very image that staging ran.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

resource "aws_ecr_repository" "images" {
  name = "faces/lambda"
  # The tags of the stages move; each image also has that of its commit, and functions name digests.
  image_tag_mutability = "MUTABLE"

  encryption_configuration {
    encryption_type = "AES256"
  }

  image_scanning_configuration {
    scan_on_push = true
  }
}

resource "aws_ecr_lifecycle_policy" "images" {
  repository = aws_ecr_repository.images.name

  # No rule expires an image that matched one before it: what a stage runs stays.
  policy = jsonencode({
    rules = concat(
      [
        for index, stage in ["staging", "production"] : {
          rulePriority = index + 1
          description  = "What ${stage} runs stays."
          selection = {
            tagStatus      = "tagged"
            tagPatternList = [stage]
            countType      = "imageCountMoreThan"
            countNumber    = 1
          }
          action = { type = "expire" }
        }
      ],
      [
        {
          rulePriority = 3
          description  = "The newest stay, to go back to."
          selection = {
            tagStatus   = "any"
            countType   = "imageCountMoreThan"
            countNumber = var.images_kept
          }
          action = { type = "expire" }
        },
      ],
    )
  })
}

data "aws_iam_policy_document" "pull" {
  statement {
    sid     = "FunctionsOfThisAccountPull"
    actions = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }

    condition {
      test     = "StringLike"
      variable = "aws:sourceArn"
      values   = [local.functions]
    }
  }
}

resource "aws_ecr_repository_policy" "images" {
  repository = aws_ecr_repository.images.name
  policy     = data.aws_iam_policy_document.pull.json
}

locals {
  functions = join(":", [
    "arn", data.aws_partition.current.partition, "lambda", var.region,
    data.aws_caller_identity.current.account_id, "function", "faces-facedetection-*",
  ])
}
