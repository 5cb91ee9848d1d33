{{/* The image of a service, exactly: with the digest, which decides, and the tag, which people read. */}}
{{- define "image" -}}
{{ .repository }}{{ with .tag }}:{{ . }}{{ end }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}
