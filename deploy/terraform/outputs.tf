output "interruption_queue_name" {
  description = "For --interruption-queue, or interruptionQueue of the chart."
  value       = aws_sqs_queue.interruption.name
}

output "node_role_name" {
  description = "For spec.role of EC2NodeClasses; null where node_role_arn was given."
  value       = one(aws_iam_role.node[*].name)
}

output "controller_role_arn" {
  description = "With IRSA, for the annotation eks.amazonaws.com/role-arn of the service account."
  value       = aws_iam_role.controller.arn
}
