output "function_arn" {
  description = "The service's FACEDETECTION_LAMBDA_ARN."
  value       = aws_lambda_function.facedetection.arn
}

output "function_name" {
  description = "For `aws lambda invoke`, and for `aws logs tail`."
  value       = aws_lambda_function.facedetection.function_name
}

output "invoke_policy_arn" {
  description = "To be attached to the role or user that the service runs as."
  value       = aws_iam_policy.invoke.arn
}

output "dead_letters_url" {
  description = "The queue of what failed for good."
  value       = aws_sqs_queue.dead_letters.url
}

output "log_group" {
  description = "Where its log is."
  value       = aws_cloudwatch_log_group.function.name
}
