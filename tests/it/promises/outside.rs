//! What leaves the premises, and how.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use skybridge::{config::ProxyAddress, task::Tasks};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use crate::support::{Process, World, eventually, options};

/// A proxy that does CONNECT and nothing else; counts the tunnels that it made.
async fn proxy(tasks: &Tasks) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, tunnels) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let (counted, inner) = (Arc::clone(&tunnels), tasks.clone());
    drop(tasks.spawn("proxy", async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(inner.spawn("tunnel", tunnel(stream, Arc::clone(&counted))));
        }
    }));
    (address, tunnels)
}

async fn tunnel(stream: TcpStream, counted: Arc<AtomicUsize>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        stream.read_line(&mut request).await?;
    }
    let target = request.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap_or_default().to_owned();
    let mut onward = TcpStream::connect(target).await?;
    counted.fetch_add(1, Ordering::Relaxed);
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    copy_bidirectional(&mut stream, &mut onward).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn s_a08_it_works_through_a_proxy() {
    let tasks = Tasks::new();
    let (address, tunnels) = proxy(&tasks).await;
    let world = World::with(|config| config.proxy = Some(ProxyAddress::from(format!("http://{address}")))).await;
    world.source.write("Plans/large.bin", &"x".repeat(300_000));
    world.sync(&["Plans"], "acme/team", options()).await;
    world.same("Plans", "acme/team/Plans").await;
    assert!(tunnels.load(Ordering::Relaxed) >= 2, "enrolling, and the agent's own connections");
}

/// The sockets on which a process listens on the network.
fn listening(process: u32) -> Vec<String> {
    let mut own = Vec::new();
    for entry in fs::read_dir(format!("/proc/{process}/fd")).unwrap() {
        let target = fs::read_link(entry.unwrap().path()).unwrap_or_default();
        own.extend(target.to_str().and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']')).map(str::to_owned));
    }
    let mut found = Vec::new();
    for table in ["tcp", "tcp6"] {
        let text = fs::read_to_string(format!("/proc/{process}/net/{table}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<_> = line.split_whitespace().collect();
            if fields[3] == "0A" && own.iter().any(|inode| *inode == fields[9]) {
                found.push(fields[1].to_owned());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn s_a08_the_agent_listens_on_nothing_but_its_socket() {
    let world = World::start().await;
    let data = world.elsewhere().join("agent");
    let library = world.elsewhere().join("library");
    fs::create_dir_all(&library).unwrap();
    let enrolment = world.ada.create_enrolment("another", &world.address()).await.unwrap();
    let data_text = data.to_str().unwrap();
    let site = format!("team={}", library.display());
    let enrolled = Process::run(&mut Process::command(["agent", "enroll", &enrolment, "--data", data_text]));
    assert!(enrolled.status.success(), "{}", String::from_utf8_lossy(&enrolled.stderr));
    let mut agent = Process::start(&mut Process::command(["agent", "run", "--data", data_text, "--site", &site]));
    let connected =
        async || world.ada.agents().await.ok()?.into_iter().any(|agent| agent.name == "another" && agent.connected).then_some(());
    world.until("the other agent is connected", connected).await;
    eventually("it opens its socket", || data.join("agent.sock").exists().then_some(()));
    assert_eq!(listening(agent.id()), [""; 0], "{}", agent.printed());
    assert!(!listening(std::process::id()).is_empty(), "the coordinator of this process is seen to listen");
    agent.interrupt();
    assert!(agent.end().success(), "{}", agent.printed());
}

/// The files below a folder that hold some bytes.
fn holding(folder: &Path, bytes: &[u8]) -> Vec<String> {
    let (mut found, mut waiting) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(at) = waiting.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if fs::read(&path).unwrap().windows(bytes.len()).any(|window| window == bytes) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn s_a09_what_is_outside_of_sync_sets_never_leaves() {
    let mut world = World::start().await;
    world.source.write("Plans/synced-name.txt", "synced words");
    world.source.write("Secret/private-name.txt", "private words");
    world.source.write("private-beside.txt", "private words beside");
    world.sync(&["Plans"], "acme/team", options()).await;
    world.source.write("Secret/private-name.txt", "private words, changed");
    world.source.rename("private-beside.txt", "Secret/private-beside.txt");
    world.settle().await;
    world.stop_agent().await;
    world.stop_coordinator().await;
    let coordinator = world.coordinator_data();
    assert!(!holding(&coordinator, b"synced-name").is_empty(), "what is synced is found there");
    for bytes in ["private-name", "private-beside", "private words", "Secret"] {
        assert_eq!(holding(&coordinator, bytes.as_bytes()), [""; 0]);
    }
    for content in ["private words", "private words, changed", "private words beside"] {
        assert_eq!(holding(&coordinator, blake3::hash(content.as_bytes()).as_bytes()), [""; 0]);
    }
    let synced = blake3::hash(b"synced words");
    assert!(!holding(&coordinator, synced.as_bytes()).is_empty(), "hashes of what is synced are found there");
}
