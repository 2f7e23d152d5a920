//! The table of what tests and benches may need: a new server is one more row.

/// One thing that cargo does not bring.
#[derive(Debug)]
pub(super) struct Server {
    /// What `cargo xtask servers NAME` takes.
    pub(super) name: &'static str,
    /// What it is for, in a few words.
    pub(super) purpose: &'static str,
    /// Whether `cargo xtask ci` installs it; the others only on demand, to keep CI light.
    pub(super) ci: bool,
    pub(super) probe: Probe,
    pub(super) source: Source,
}

/// How to see that it is here.
#[derive(Debug)]
pub(super) enum Probe {
    /// A program of this name is in the path.
    Program(&'static str),
    /// This command leaves with 0.
    Runs(&'static str, &'static [&'static str]),
    /// The virtual environment's Python imports these modules, named as in an `import`.
    Imports(&'static str),
}

/// Where it comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// Debian packages, by apt-get.
    Debian(&'static [&'static str]),
    /// A package of the Python index, by pip, in the workspace's own virtual environment.
    Pip(&'static str),
}

pub(super) const SERVERS: &[Server] = &[
    Server {
        name: "git",
        purpose: "lists the files that tidy checks",
        ci: true,
        probe: Probe::Program("git"),
        source: Source::Debian(&["git"]),
    },
    Server {
        name: "cc",
        purpose: "C compiler: links every Rust program",
        ci: true,
        probe: Probe::Program("cc"),
        source: Source::Debian(&["gcc", "libc6-dev"]),
    },
    Server {
        name: "curl",
        purpose: "an HTTP client that no one here wrote",
        ci: true,
        probe: Probe::Program("curl"),
        source: Source::Debian(&["curl"]),
    },
    Server {
        name: "ip",
        purpose: "lays and cuts network cables, to peers that vanish",
        ci: true,
        probe: Probe::Program("ip"),
        source: Source::Debian(&["iproute2"]),
    },
    Server {
        name: "valgrind",
        purpose: "counts instructions, where time is too noisy",
        ci: true,
        probe: Probe::Program("valgrind"),
        source: Source::Debian(&["valgrind", "libc6-dbg"]),
    },
    Server {
        name: "python3",
        purpose: "runs independent clients",
        ci: false,
        probe: Probe::Runs("python3", &["-c", "import venv, ensurepip"]),
        source: Source::Debian(&["python3", "python3-venv"]),
    },
    Server {
        name: "httpx",
        purpose: "an HTTP/2 client in Python",
        ci: true,
        probe: Probe::Imports("httpx, h2"),
        source: Source::Pip("httpx[http2]"),
    },
    Server {
        name: "openapi-spec-validator",
        purpose: "checks OpenAPI documents",
        ci: true,
        probe: Probe::Imports("openapi_spec_validator"),
        source: Source::Pip("openapi-spec-validator==0.9.0"),
    },
    Server {
        name: "schemathesis",
        purpose: "fuzzes services by their OpenAPI documents",
        ci: true,
        probe: Probe::Imports("schemathesis"),
        source: Source::Pip("schemathesis==4.32.5"),
    },
    Server {
        name: "nginx",
        purpose: "a proxy in front of services",
        ci: true,
        probe: Probe::Program("nginx"),
        source: Source::Debian(&["nginx-light"]),
    },
    Server {
        name: "chromium",
        purpose: "a browser, for server-sent events",
        ci: true,
        probe: Probe::Program("chromium"),
        source: Source::Debian(&["chromium"]),
    },
    Server {
        name: "wrk",
        purpose: "HTTP/1.1 load for benches",
        ci: false,
        probe: Probe::Program("wrk"),
        source: Source::Debian(&["wrk"]),
    },
    Server {
        name: "h2load",
        purpose: "HTTP/2 load, for tests and benches",
        ci: true,
        probe: Probe::Program("h2load"),
        source: Source::Debian(&["nghttp2-client"]),
    },
];
