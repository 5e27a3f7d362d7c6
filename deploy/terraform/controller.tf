locals {
  # What each policy is for; its statements are in policies/.
  purposes = {
    Machines        = "Slipway launches and ends machines of ${var.cluster_name}, and no others"
    Profiles        = "Slipway gives machines of ${var.cluster_name} the nodes' role, and no other"
    Reading         = "Slipway reads what it can buy for ${var.cluster_name}, and onto what it is launched"
    Notices         = "Slipway hears when EC2 takes a machine of ${var.cluster_name}"
    Preflight       = "slipway preflight reads, in the controller's place, what the controller of ${var.cluster_name} needs not"
    ImageParameters = "Slipway looks up images of ${var.cluster_name} in parameters of the account"
    VolumeKeys      = "EC2 encrypts volumes of ${var.cluster_name} with own keys, in Slipway's name"
  }
  wanted = {
    ImageParameters = var.image_parameter_prefix != ""
    VolumeKeys      = length(var.volume_key_arns) > 0
  }
  policies = { for name, purpose in local.purposes : name => purpose if lookup(local.wanted, name, true) }

  uses_pod_identity = var.controller_identity == "PodIdentity"

  by_pod_identity = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TheControllerByPodIdentity"
      Effect    = "Allow"
      Principal = { Service = "pods.eks.amazonaws.com" }
      Action    = ["sts:AssumeRole", "sts:TagSession"]
      Condition = {
        StringEquals = {
          "aws:SourceAccount"                         = local.account
          "aws:RequestTag/eks-cluster-name"           = var.cluster_name
          "aws:RequestTag/kubernetes-namespace"       = var.namespace
          "aws:RequestTag/kubernetes-service-account" = var.service_account
        }
      }
    }]
  })

  by_service_account = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TheControllerByItsServiceAccount"
      Effect    = "Allow"
      Principal = { Federated = "arn:${local.partition}:iam::${local.account}:oidc-provider/${var.oidc_provider}" }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = {
        StringEquals = {
          "${var.oidc_provider}:aud" = "sts.amazonaws.com"
          "${var.oidc_provider}:sub" = "system:serviceaccount:${var.namespace}:${var.service_account}"
        }
      }
    }]
  })
}

resource "aws_iam_policy" "controller" {
  for_each    = local.policies
  name        = "Slipway${each.key}-${var.cluster_name}"
  description = each.value
  policy = templatefile("${path.module}/policies/${lower(each.key)}.json.tftpl", {
    account      = local.account
    cluster      = var.cluster_name
    image_prefix = var.image_parameter_prefix
    node_role    = local.node_role
    partition    = local.partition
    queue        = aws_sqs_queue.interruption.arn
    region       = local.region
    volume_keys  = var.volume_key_arns
  })
}

resource "aws_iam_role" "controller" {
  name               = var.controller_role_name != "" ? var.controller_role_name : "SlipwayController-${var.cluster_name}"
  description        = "Slipway's controller in the EKS cluster ${var.cluster_name}"
  assume_role_policy = local.uses_pod_identity ? local.by_pod_identity : local.by_service_account

  lifecycle {
    precondition {
      condition     = local.uses_pod_identity || var.oidc_provider != ""
      error_message = "controller_identity IRSA needs oidc_provider."
    }
  }
}

resource "aws_iam_role_policy_attachment" "controller" {
  for_each   = local.policies
  role       = aws_iam_role.controller.name
  policy_arn = aws_iam_policy.controller[each.key].arn
}

resource "aws_eks_pod_identity_association" "controller" {
  count           = local.uses_pod_identity ? 1 : 0
  cluster_name    = var.cluster_name
  namespace       = var.namespace
  service_account = var.service_account
  role_arn        = aws_iam_role.controller.arn
}
