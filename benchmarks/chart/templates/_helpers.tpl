{{- define "models.labels" -}}
app: {{ . }}
app.kubernetes.io/part-of: fleet
{{- end }}
