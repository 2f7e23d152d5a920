//! A real proxy in front: nginx tells the address of its client, and is believed only where it is trusted.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use http::Request;
use kit_base::Peer;
use kit_serve::{ForwardedHeader, RequestBody, TrustedProxies};
use kit_testing::http::curl;
use kit_testing::ports::free_port;
use kit_testing::process::Child;
use kit_testing::temp::{TempDir, temp_dir};
use kit_testing::tools::{find, skip_unless_or};
use tower::service_fn;

use crate::support::{bind, start, text};

/// nginx on a free port, or nothing where there is none.
async fn nginx(upstream: SocketAddr) -> Option<(Child, SocketAddr, TempDir)> {
    // Debian has it where only root looks.
    let program = find("nginx").unwrap_or_else(|| "/usr/sbin/nginx".into());
    if !skip_unless_or(program.to_str().unwrap(), "run `cargo xtask servers nginx`") {
        return None;
    }
    let run = move || {
        let (dir, port) = (temp_dir().unwrap(), free_port().unwrap());
        let (addr, folder) = (port.addr(), dir.path().display());
        let temps = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temps = temps.map(|what| format!("{what}_temp_path {folder}/{what};")).join(" ");
        let config = format!(
            "daemon off; worker_processes 1; pid {folder}/pid; error_log stderr notice;
            events {{ worker_connections 64; }}
            http {{ access_log off; {temps} server {{ listen {addr}; location / {{
                proxy_pass http://{upstream}; proxy_http_version 1.1; proxy_set_header Connection '';
                proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            }} }} }}"
        );
        let file = dir.path().join("nginx.conf");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(program);
        command.args(["-e", "stderr", "-p"]).arg(dir.path()).arg("-c").arg(file);
        let child = Child::spawn(command).unwrap();
        child.wait_for_line("start worker process ", Duration::from_secs(10)).unwrap();
        drop(port);
        (child, addr, dir)
    };
    Some(tokio::task::spawn_blocking(run).await.unwrap())
}

#[tokio::test]
async fn nginx_is_believed_where_it_is_trusted_and_its_clients_are_not() {
    let who = service_fn(|request: Request<RequestBody>| async move {
        let peer = request.extensions().get::<Peer>().and_then(|peer| peer.addr);
        Ok::<_, Infallible>(text(peer.map_or_else(String::new, |addr| addr.ip().to_string())))
    });
    let claim = "x-forwarded-for: 203.0.113.7, 198.51.100.9";
    for (trusted, expected) in [
        // The client that nginx saw is this machine, which is trusted too; what that says of others counts, up to the
        // first one that is not.
        (vec!["127.0.0.0/8"], "198.51.100.9"),
        (vec!["127.0.0.0/8", "198.51.100.0/24"], "203.0.113.7"),
        (vec!["10.0.0.0/8"], "127.0.0.1"),
    ] {
        let trusted = TrustedProxies::new(trusted).unwrap();
        let server = start!(bind().await.trusted_proxies(trusted, ForwardedHeader::XForwardedFor), who);
        let Some((_nginx, addr, _dir)) = nginx(server.addr).await else { return };
        let answer = curl(["-H", claim, &format!("http://{addr}/")]).await.unwrap();
        assert_eq!(answer.body(), expected);
    }
}
