{{/* Names of all objects. */}}
{{- define "tenant-provisioner.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "tenant-provisioner.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "tenant-provisioner.selectorLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* The name is fixed: the PodMonitor makes it the job of all metrics, which alert rules and dashboard select. */}}
{{- define "tenant-provisioner.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tenant-provisioner.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "tenant-provisioner.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "tenant-provisioner.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "tenant-provisioner.port" -}}
{{- regexFind "[0-9]+$" .Values.config.HTTP_ADDR -}}
{{- end -}}

{{/* DRAIN_TIMEOUT in seconds, and 15 more: the service ends at most 7 seconds after it, whatever hangs. */}}
{{- define "tenant-provisioner.gracePeriod" -}}
{{- $seconds := 15 -}}
{{- range regexFindAll "[0-9]+[hms]" (get .Values.config "DRAIN_TIMEOUT" | default "25s") -1 -}}
{{- $factor := get (dict "h" 3600 "m" 60 "s" 1) (. | trunc -1) -}}
{{- $seconds = add $seconds (mul (. | trimSuffix "h" | trimSuffix "m" | trimSuffix "s") $factor) -}}
{{- end -}}
{{- $seconds -}}
{{- end -}}

{{/* The fewest replicas. */}}
{{- define "tenant-provisioner.minReplicas" -}}
{{- ternary .Values.keda.minReplicas .Values.replicaCount .Values.keda.enabled | int -}}
{{- end -}}
