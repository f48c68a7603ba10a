resource "aws_sns_topic" "alarms" {
  name = "${local.name}-alarms"
}

resource "aws_sns_topic_subscription" "email" {
  count = var.alarm_email == "" ? 0 : 1

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = var.alarm_email
}

locals {
  of_function = { FunctionName = aws_lambda_function.facedetection.function_name }

  alarms = {
    errors = {
      description = "Invocations fail. Lambda tries them again; the log says why."
      namespace   = "AWS/Lambda"
      metric      = "Errors"
      dimensions  = local.of_function
      statistic   = "Sum"
      threshold   = 5
      minutes     = 5
    }
    throttles = {
      description = "More at a time than var.concurrency lets in. They wait, for six hours at most."
      namespace   = "AWS/Lambda"
      metric      = "Throttles"
      dimensions  = local.of_function
      statistic   = "Sum"
      threshold   = 100
      minutes     = 15
    }
    dead-letters = {
      description = "Invocations failed for good; the service submits their photos again after seven hours."
      namespace   = "AWS/SQS"
      metric      = "ApproximateNumberOfMessagesVisible"
      dimensions  = { QueueName = aws_sqs_queue.dead_letters.name }
      statistic   = "Maximum"
      threshold   = 0
      minutes     = 5
    }
    dropped = {
      description = "Events were dropped and could not be put into the queue of dead letters."
      namespace   = "AWS/Lambda"
      metric      = "DestinationDeliveryFailures"
      dimensions  = local.of_function
      statistic   = "Sum"
      threshold   = 0
      minutes     = 5
    }
    duration = {
      description = "An invocation took more than 80 % of its time: give it more memory, or fewer photos."
      namespace   = "AWS/Lambda"
      metric      = "Duration"
      dimensions  = local.of_function
      statistic   = "Maximum"
      threshold   = var.timeout_s * 1000 * 0.8
      minutes     = 5
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "function" {
  for_each = local.alarms

  alarm_name          = "${local.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  period              = each.value.minutes * 60
  evaluation_periods  = 1
  # Where nothing is invoked there is nothing to measure.
  treat_missing_data = "notBreaching"
  alarm_actions      = [aws_sns_topic.alarms.arn]
  ok_actions         = [aws_sns_topic.alarms.arn]
}
