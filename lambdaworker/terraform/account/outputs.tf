output "repository_url" {
  description = "Where images are pushed to: the workflow's FACES_ECR_REPOSITORY."
  value       = aws_ecr_repository.images.repository_url
}

output "deploy_role_arn" {
  description = "The role of the workflow: its FACES_AWS_ROLE_ARN."
  value       = one(aws_iam_role.deploy[*].arn)
}
