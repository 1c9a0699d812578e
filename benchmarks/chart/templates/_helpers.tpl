{{- define "models.labels" -}}
app: {{ . }}
app.kubernetes.io/instance: {{ . }}
app.kubernetes.io/part-of: fleet
app.kubernetes.io/managed-by: helm
{{- end }}
