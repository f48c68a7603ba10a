# `terraform test`: plans against an AWS that is made up, and needs no account.

mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
  mock_data "aws_ecr_repository" {
    defaults = { repository_url = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/faces/lambda" }
  }
  mock_data "aws_ecr_image" {
    defaults = { image_digest = "sha256:0000000000000000000000000000000000000000000000000000000000000000" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/faces" }
  }
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-central-1:123456789012:faces" }
  }
  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:eu-central-1:123456789012:faces" }
  }
}

variables {
  region = "eu-central-1"
  stage  = "staging"
}

run "the_function_is_one_image_with_bounds" {
  assert {
    condition     = aws_lambda_function.facedetection.function_name == "faces-facedetection-staging"
    error_message = "Each stage has a function of its own."
  }
  assert {
    condition     = strcontains(aws_lambda_function.facedetection.image_uri, "@sha256:")
    error_message = "A tag moves; what runs is named by its digest."
  }
  assert {
    condition     = aws_lambda_function.facedetection.reserved_concurrent_executions == 10
    error_message = "Its concurrency has a bound."
  }
  assert {
    condition = (
      aws_lambda_function_event_invoke_config.facedetection.maximum_retry_attempts == 2 &&
      aws_lambda_function_event_invoke_config.facedetection.maximum_event_age_in_seconds <= 25200
    )
    error_message = "An event must end before the service submits its photos again."
  }
  assert {
    condition     = length(aws_cloudwatch_metric_alarm.function) == 5 && length(aws_sns_topic_subscription.email) == 0
    error_message = "There are five alarms, and nobody is written to who was not named."
  }
}

run "an_address_is_told_of_alarms" {
  variables {
    alarm_email = "ops@faces.example"
  }
  assert {
    condition     = one(aws_sns_topic_subscription.email[*].endpoint) == "ops@faces.example"
    error_message = "The address is subscribed."
  }
}

run "a_stage_that_is_none_is_refused" {
  command = plan
  variables {
    stage = "test"
  }
  expect_failures = [var.stage]
}

run "less_memory_than_the_models_need_is_refused" {
  command = plan
  variables {
    memory_mb = 256
  }
  expect_failures = [var.memory_mb]
}
