//go:build tools

// Package tools pins the server of the model registry, which Go builds from this module. The sums of its two
// modules are those of the repository's tags v0.3.0 and pkg/openapi/v0.3.0: the proxy has no line of the
// checksum database about them.
package tools

import _ "github.com/kubeflow/model-registry"
