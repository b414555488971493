package service

import (
	"time"

	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/telemetry"
)

// observer counts what the pipeline does, and publishes the progress of its steps to waiting clients. It is a
// [pipeline.Observer].
type observer struct {
	*telemetry.Metrics
	progress *handler.Progress
}

func (o *observer) StepBegan(r pipeline.StepEvent) { o.progress.StepBegan(r) }

func (o *observer) StepEnded(r pipeline.StepEvent, took time.Duration, err error) {
	o.Metrics.StepEnded(r.Step.Name, took, err)
	o.progress.StepEnded(r, took, err)
}
