ARG GO_IMAGE=golang:1.26

FROM ${GO_IMAGE} AS build
WORKDIR /src
# Copied first, so that the download is repeated only when the dependencies change.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# The image has no repository to read the version from. -w omits what only debuggers read; govulncheck needs symbols.
ARG VERSION=dev
ARG REVISION=unknown
ARG BUILDINFO=example.com/tenant-provisioner/internal/buildinfo
RUN CGO_ENABLED=0 go build -trimpath -o /root-of-image/consumer \
      -ldflags="-w -X ${BUILDINFO}.linkedVersion=${VERSION} -X ${BUILDINFO}.linkedRevision=${REVISION}" ./cmd/consumer
RUN install -D -m 644 -t /root-of-image/licenses/ LICENSE NOTICE internal/licenses/THIRD_PARTY_LICENSES.txt
# Certificates for TLS to NATS and PostgreSQL, if the builder has them; /tmp, because the image is empty.
RUN mkdir -p /root-of-image/tmp /root-of-image/etc/ssl/certs /data-of-image \
 && chmod 1777 /root-of-image/tmp \
 && if [ -e /etc/ssl/certs/ca-certificates.crt ]; then \
      cp /etc/ssl/certs/ca-certificates.crt /root-of-image/etc/ssl/certs/; \
    fi

# The instructions below are the one definition of the image's configuration: make release reads them.
FROM scratch
ARG VERSION=dev
ARG REVISION=unknown
ARG CREATED=
LABEL org.opencontainers.image.title="tenant-provisioner" \
      org.opencontainers.image.description="Provisions tenants on request: CloudEvents from NATS JetStream, schemas in PostgreSQL or files of SQLite" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.source="https://example.com/tenant-provisioner" \
      org.opencontainers.image.documentation="https://example.com/tenant-provisioner/blob/main/docs/deploying.md" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /root-of-image/ /
# By number: the image has no /etc/passwd, and Kubernetes' runAsNonRoot needs a number.
COPY --from=build --chown=65532:65532 /data-of-image/ /data/
USER 65532:65532
# The defaults store below the working directory: storage/nats, storage/tenant_….
WORKDIR /data
VOLUME /data
# The program's default, the loopback address, cannot be reached from outside of the container. Publish the port on the
# host's loopback address (-p 127.0.0.1:8080:8080): the page has no login.
ENV HTTP_ADDR=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=6 CMD ["/consumer", "health"]
ENTRYPOINT ["/consumer"]
