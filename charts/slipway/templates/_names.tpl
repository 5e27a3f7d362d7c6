{{- define "slipway.name" -}}
{{- if contains "slipway" .Release.Name }}{{ .Release.Name | trunc 63 | trimSuffix "-" }}{{ else }}{{ printf "%s-slipway" .Release.Name | trunc 63 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "slipway.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ default (include "slipway.name" .) .Values.serviceAccount.name }}{{ else }}{{ required "serviceAccount.name is required with serviceAccount.create=false" .Values.serviceAccount.name }}{{ end }}
{{- end }}

{{- define "slipway.selector" -}}
app.kubernetes.io/name: slipway
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "slipway.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "slipway.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "slipway.image" -}}
{{- with .Values.image }}{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ default $.Chart.AppVersion .tag }}{{ end }}{{ end }}
{{- end }}

{{/* "true" if karpenter.sh/v1alpha5 is carried over. Where Karpenter of today runs, provisioners.karpenter.sh is not ours to define. */}}
{{- define "slipway.karpenterCompat" -}}
{{- $enabled := toString .Values.karpenterCompat.enabled -}}
{{- if or (eq $enabled "true") (and (eq $enabled "auto") (not (.Capabilities.APIVersions.Has "karpenter.sh/v1"))) }}true{{ end }}
{{- end }}

{{/* The rules of one object of files/role.yaml (kind ClusterRole or Role), which is generated from the markers beside the code, less what only a
setting asks for that is off: karpenter.sh and the writing of what is carried over, and what tells default spread constraints which pods belong together. */}}
{{- define "slipway.rules" -}}
{{- $compat := include "slipway.karpenterCompat" .root -}}
{{- $spread := .root.Values.defaultSpreadConstraints -}}
{{- range (.root.Files.Get "files/role.yaml" | splitList "\n---\n") }}
{{- $role := fromYaml (trimPrefix "---\n" .) }}
{{- if eq $role.kind $.kind }}
{{- range $rule := $role.rules }}
{{- if not $spread }}
{{- $_ := set $rule "resources" (without $rule.resources "services" "replicationcontrollers" "replicasets" "statefulsets") }}
{{- end }}
{{- if and (not $compat) (has "slipway.sh" $rule.apiGroups) (has "provisioners" $rule.resources) }}
{{- $_ := set $rule "verbs" (without $rule.verbs "create" "update") }}
{{- end }}
{{- if and $rule.resources (or $compat (not (has "karpenter.sh" $rule.apiGroups))) }}
{{ list $rule | toYaml }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Requirements that keep the controller off the nodes that it launches. */}}
{{- define "slipway.offOwnNodes" -}}
- {key: slipway.sh/provisioner, operator: DoesNotExist}
{{- end }}

{{/* The user's affinity, with ours in each term: terms are alternatives, so it must stand in every one. */}}
{{- define "slipway.affinity" -}}
{{- $ours := include "slipway.offOwnNodes" . | fromYamlArray -}}
{{- $affinity := deepCopy .Values.affinity -}}
{{- $node := get $affinity "nodeAffinity" | default dict -}}
{{- $required := get $node "requiredDuringSchedulingIgnoredDuringExecution" | default dict -}}
{{- $terms := list -}}
{{- range (get $required "nodeSelectorTerms" | default (list dict)) -}}
{{- $terms = append $terms (merge (dict "matchExpressions" (concat (get . "matchExpressions" | default list) $ours)) .) -}}
{{- end -}}
{{- $_ := set $node "requiredDuringSchedulingIgnoredDuringExecution" (dict "nodeSelectorTerms" $terms) -}}
{{- $_ := set $affinity "nodeAffinity" $node -}}
{{- toYaml $affinity }}
{{- end }}

{{- define "slipway.spread" -}}
{{- $constraints := list -}}
{{- range .Values.topologySpreadConstraints -}}
{{- $constraints = append $constraints (merge (dict) . (dict "labelSelector" (dict "matchLabels" (include "slipway.selector" $ | fromYaml)))) -}}
{{- end -}}
{{- toYaml $constraints }}
{{- end }}
