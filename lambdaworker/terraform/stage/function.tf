locals {
  name = "faces-facedetection-${var.stage}"
}

# The digest behind the tag of the stage: what runs is one image, and a plan shows a new one.
data "aws_ecr_image" "function" {
  repository_name = "faces/lambda"
  image_tag       = var.stage
}

data "aws_ecr_repository" "images" {
  name = "faces/lambda"
}

resource "aws_lambda_function" "facedetection" {
  function_name = local.name
  description   = "Finds the faces of photos and posts their encodings to the service (${var.stage})."
  role          = aws_iam_role.function.arn

  package_type  = "Image"
  image_uri     = "${data.aws_ecr_repository.images.repository_url}@${data.aws_ecr_image.function.image_digest}"
  architectures = [var.architecture]

  memory_size                    = var.memory_mb
  timeout                        = var.timeout_s
  reserved_concurrent_executions = var.concurrency

  environment {
    variables = merge({ ENVIRONMENT = var.stage }, var.settings)
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.function.name
  }

  # Without them the first invocation would fail, or make a log group that keeps its lines for ever.
  depends_on = [aws_iam_role_policy.function]
}

# Invocations are asynchronous. Lambda tries a failed one again after one and two minutes, and one that
# found no room for six hours: the service submits what it heard nothing of after seven.
resource "aws_lambda_function_event_invoke_config" "facedetection" {
  function_name                = aws_lambda_function.facedetection.function_name
  maximum_retry_attempts       = 2
  maximum_event_age_in_seconds = 21600

  destination_config {
    on_failure {
      destination = aws_sqs_queue.dead_letters.arn
    }
  }
}

# The URLs and tokens in an event have expired by the time that it is read here.
resource "aws_sqs_queue" "dead_letters" {
  name                      = "${local.name}-dead-letters"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}

resource "aws_cloudwatch_log_group" "function" {
  name              = "/aws/lambda/${local.name}"
  retention_in_days = var.log_days
}
