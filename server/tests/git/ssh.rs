//! SSH with a key, against the real sshd.

use std::{path::Path, process::Command, time::Instant};

use super::*;

const SSHD: &str = "/usr/sbin/sshd";

/// A running sshd; it ends with this value.
struct Daemon {
    child: std::process::Child,
    port: u16,
    host_key: String,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn make_key(at: &Path) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"])
        .arg(at)
        .status()
        .unwrap();
    assert!(made.success());
}

async fn start(directory: &Path) -> Daemon {
    make_key(&directory.join("host"));
    make_key(&directory.join("user"));
    std::fs::copy(directory.join("user.pub"), directory.join("authorized")).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let at = directory.display();
    let config = format!(
        "ListenAddress 127.0.0.1\nPort {port}\nHostKey {at}/host\nAuthorizedKeysFile {at}/authorized\nStrictModes no\n\
         PidFile none\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n"
    );
    std::fs::write(directory.join("config"), config).unwrap();
    // sshd insists on this directory, which a package makes at boot.
    let _ = std::fs::create_dir_all("/run/sshd");
    let log = std::fs::File::create(directory.join("log")).unwrap();
    let child = Command::new(SSHD)
        .args(["-D", "-e", "-f"])
        .arg(directory.join("config"))
        .stderr(log)
        .spawn()
        .unwrap();
    let host_key = std::fs::read_to_string(directory.join("host.pub")).unwrap();
    let mut daemon = Daemon { child, port, host_key };
    let deadline = Instant::now() + Duration::from_secs(20);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        if daemon.child.try_wait().unwrap().is_some() || Instant::now() > deadline {
            panic!("sshd: {}", std::fs::read_to_string(directory.join("log")).unwrap());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    daemon
}

#[tokio::test]
async fn a_key_signs_in_and_hosts_are_remembered() {
    if !Path::new(SSHD).exists() {
        println!("skipped: {SSHD} is missing; install openssh-server");
        return;
    }
    let setting = Setting::new().await;
    let directory = setting.directory.path().join("ssh");
    std::fs::create_dir(&directory).unwrap();
    let daemon = start(&directory).await;
    let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).unwrap();
    let access = |key: &str, known_hosts: Option<String>| RepositoryAccess {
        tenant: String::new(),
        url: format!(
            "ssh://{}@127.0.0.1:{}{}",
            user.trim(),
            daemon.port,
            setting.repo.path().display()
        ),
        branch: "main".to_owned(),
        credentials: Credentials::SshKey {
            private_key: SecretString::from(key.to_owned()),
            known_hosts,
        },
    };
    let known = format!("[127.0.0.1]:{} {}", daemon.port, daemon.host_key);

    let mirrors = &setting.mirrors;
    let (commit, _) = pushed(
        mirrors
            .commit_and_push(&access(&read("user"), None), &promotion(2, "api"))
            .await,
    );
    assert_eq!(setting.tip().await, commit);
    pushed(
        mirrors
            .commit_and_push(&access(&read("user"), Some(known)), &promotion(3, "api"))
            .await,
    );

    // No key is left behind, wherever a mirror lies.
    for file in setting.mirror_files() {
        let bytes = std::fs::read(&file).unwrap();
        assert!(
            !String::from_utf8_lossy(&bytes).contains("PRIVATE KEY"),
            "{}",
            file.display()
        );
    }
    // Looking by itself signs in the same way, and knows the host that was seen.
    let paths = [super::PATH.to_owned()];
    let probe = mirrors.probe(&access(&read("user"), None), &paths, "").await.unwrap();
    assert_eq!(probe.tip, setting.tip().await);
    assert!(probe.push.is_ok(), "{:?}", probe.push);
    let is_seen = |path: &&std::path::PathBuf| path.extension().is_some_and(|kind| kind == "seen_hosts");
    let seen = setting.mirror_files().iter().find(is_seen).unwrap().clone();
    let kept = std::fs::read_to_string(&seen).unwrap();
    std::fs::write(&seen, format!("[127.0.0.1]:{} {}", daemon.port, read("user.pub"))).unwrap();
    let why = mirrors
        .probe(&access(&read("user"), None), &paths, "")
        .await
        .unwrap_err();
    assert!(matches!(&why.error, GitError::Unauthorized { .. }), "{why:?}");
    std::fs::write(&seen, kept).unwrap();

    // Another key is refused; so is another host.
    make_key(&directory.join("stranger"));
    let error = mirrors.fetch(&access(&read("stranger"), None)).await.unwrap_err();
    assert!(matches!(&error, GitError::Unauthorized { .. }), "{error}");
    let other = format!("[127.0.0.1]:{} {}", daemon.port, read("stranger.pub"));
    let error = mirrors.fetch(&access(&read("user"), Some(other))).await.unwrap_err();
    assert!(matches!(&error, GitError::Unauthorized { .. }), "{error}");
    assert!(!error.to_string().contains("PRIVATE"), "{error}");
}
