-- A product's own tables beside those of DocEX.
CREATE TABLE order_status (
    code  VARCHAR(20) NOT NULL PRIMARY KEY,
    label TEXT NOT NULL
);

INSERT INTO order_status (code, label) VALUES
    ('open', 'Open'),
    ('paid', 'Paid'),
    ('shipped', 'Shipped');

CREATE TABLE orders (
    id          INTEGER PRIMARY KEY,
    document_id VARCHAR(36) REFERENCES document (id) ON DELETE SET NULL,
    status      VARCHAR(20) NOT NULL DEFAULT 'open' REFERENCES order_status (code),
    total_cents INTEGER NOT NULL CHECK (total_cents >= 0),
    created_at  DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE INDEX idx_orders_status_created ON orders (status, created_at DESC);
