//go:build tools

// Package tools pins Katib's database manager, which Go builds from this module.
package tools

import _ "github.com/kubeflow/katib/cmd/db-manager/v1beta1"
