# What Slipway needs in AWS for one EKS cluster, docs/aws.md says why; the interruption queue, the nodes' role, and the controller's role. It is what
# deploy/cloudformation makes; a test compares the two.

variable "cluster_name" {
  description = "Name of the EKS cluster."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$", var.cluster_name))
    error_message = "The name of an EKS cluster has up to 100 letters, digits, hyphens and underscores."
  }
}

variable "controller_identity" {
  description = "How the controller's pods get their role. PodIdentity needs the add-on eks-pod-identity-agent, IRSA the cluster's OIDC provider."
  type        = string
  default     = "PodIdentity"
  nullable    = false
  validation {
    condition     = contains(["PodIdentity", "IRSA"], var.controller_identity)
    error_message = "Use PodIdentity or IRSA."
  }
}

variable "oidc_provider" {
  description = "With IRSA, the cluster's issuer without https://, such as oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B716D3041E."
  type        = string
  default     = ""
  nullable    = false
  validation {
    condition     = can(regex("^([0-9a-z.-]+/id/[0-9A-Za-z]+)?$", var.oidc_provider))
    error_message = "Give the issuer without https://."
  }
}

variable "namespace" {
  description = "Namespace of the controller."
  type        = string
  default     = "slipway-system"
  nullable    = false
}

variable "service_account" {
  description = "Service account of the controller: slipway, or RELEASE-slipway if the Helm release's name does not have slipway in it."
  type        = string
  default     = "slipway"
  nullable    = false
}

variable "queue_name" {
  description = "Name of the interruption queue. Empty, slipway- and the cluster's name, which may then have up to 72 characters."
  type        = string
  default     = ""
  nullable    = false
  validation {
    condition     = length(var.queue_name) <= 80
    error_message = "The name of a queue has up to 80 characters."
  }
}

variable "controller_role_name" {
  description = "Name of the controller's role. Empty, SlipwayController- and the cluster's name, which may then have up to 46 characters."
  type        = string
  default     = ""
  nullable    = false
  validation {
    condition     = length(var.controller_role_name) <= 64
    error_message = "The name of a role has up to 64 characters."
  }
}

variable "node_role_arn" {
  description = "A role that stands already, for the nodes. Empty, one is made, named SlipwayNodeRole- and the cluster's name, which may then have up to 48 characters."
  type        = string
  default     = ""
  nullable    = false
  validation {
    condition     = can(regex("^(arn:[a-z-]+:iam::[0-9]{12}:role/.+)?$", var.node_role_arn))
    error_message = "Give the ARN of a role."
  }
}

variable "create_access_entry" {
  description = "Let nodes of the role into the cluster by an EKS access entry. false where they are in it already, or in the aws-auth ConfigMap."
  type        = bool
  default     = true
  nullable    = false
}

variable "image_parameter_prefix" {
  description = "Path of your own SSM parameters that hold images' ids, such as /team/images, for spec.amiSelectorTerms.ssmParameter of EC2NodeClasses. Empty, only those of AWS."
  type        = string
  default     = ""
  nullable    = false
  validation {
    condition     = can(regex("^((/[0-9A-Za-z_.-]+)+)?$", var.image_parameter_prefix)) && length(var.image_parameter_prefix) <= 1000
    error_message = "Give a path that begins with / and does not end with one."
  }
}

variable "volume_key_arns" {
  description = "ARNs of customer managed KMS keys that volumes are encrypted with, by kmsKeyID of EC2NodeClasses, in snapshots, or as the account's default. Empty, only aws/ebs."
  type        = list(string)
  default     = []
  nullable    = false
  validation {
    condition     = length([for arn in var.volume_key_arns : arn if !can(regex("^arn:[a-z-]+:kms:[0-9a-z-]+:[0-9]{12}:key/[0-9A-Za-z-]+$", arn))]) == 0
    error_message = "Give ARNs of keys, not of aliases."
  }
}
