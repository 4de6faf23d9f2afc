//! Certificates and values as other tools make them: openssl, keytool, Python's cryptography.
//!
//! Each file is made when the test runs. A tool that is not there is named and left out; `cargo xtask test` installs
//! openssl and Python's cryptography.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use acceptance::{CONNECTION, Run, TestAgent};
use serde_json::json;

const PASSWORD: &str = "pâsswörd€";

/// A folder with a key and a certificate, and what the tools make of them.
struct Workshop {
    folder: PathBuf,
}

impl Workshop {
    fn new(agent: &TestAgent, bits: u32) -> Self {
        let workshop = Self { folder: agent.directory() };
        let algorithm = format!("rsa:{bits}");
        workshop.openssl(&[
            "req",
            "-x509",
            "-newkey",
            &algorithm,
            "-nodes",
            "-keyout",
            "key.pem",
            "-out",
            "cert.pem",
            "-days",
            "30",
            "-subj",
            "/CN=agent",
        ]);
        workshop
    }

    fn openssl(&self, arguments: &[&str]) {
        self.run("openssl", arguments);
    }

    /// Runs a tool in the folder; it must do what it is asked for.
    fn run(&self, tool: impl AsRef<Path>, arguments: &[&str]) {
        let mut command = Command::new(tool.as_ref());
        let output = command.args(arguments).current_dir(&self.folder).stdin(Stdio::null()).output();
        let output = output.unwrap_or_else(|error| panic!("{}: {error}", tool.as_ref().display()));
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn pfx(&self, name: &str, further: &[&str]) {
        self.openssl(&[&["pkcs12", "-export", "-inkey", "key.pem", "-in", "cert.pem", "-out", name], further].concat());
    }

    /// A value as `openssl cms -encrypt` protects it.
    fn cms(&self, text: &str, further: &[&str]) -> String {
        fs::write(self.folder.join("plain.txt"), text).expect("the folder is there");
        let base = ["cms", "-encrypt", "-binary", "-in", "plain.txt", "-outform", "DER", "-out", "value.der"];
        self.openssl(&[&base, further].concat());
        fs::remove_file(self.folder.join("plain.txt")).expect("it was written");
        self.openssl(&["base64", "-A", "-in", "value.der", "-out", "value.b64"]);
        fs::read_to_string(self.folder.join("value.b64")).expect("openssl wrote it").trim().to_owned()
    }
}

/// The program with a certificate in the settings.
fn with_certificate(agent: &TestAgent, settings: &serde_json::Value, arguments: &[&str], input: &str) -> Run {
    agent.write("appsettings.json", &json!({ "EncryptionCertificate": settings }).to_string());
    agent.run_with_input(arguments, input)
}

/// Whether a value can be protected and opened with the certificate.
#[track_caller]
fn assert_usable(agent: &TestAgent, settings: &serde_json::Value) -> Run {
    let path = ["--path", "Connections:A:ApiKey"];
    let run =
        with_certificate(agent, settings, &[&["protect", "value"], &path[..]].concat(), "00secret\n").must_exit(0);
    let opened = agent.run_with_input(&[&["unprotect", "value"], &path[..]].concat(), &run.stdout).must_exit(0);
    assert_eq!(opened.stdout, "00secret\n", "{settings}");
    run
}

#[test]
fn pfx_files_of_every_shape_are_read() {
    let agent = TestAgent::new();
    let workshop = Workshop::new(&agent, 3072);
    let sha1 = ["-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1", "-iter", "2000"];
    let sha256 = ["-keypbe", "AES-256-CBC", "-certpbe", "AES-256-CBC", "-macalg", "sha256", "-iter", "100000"];
    let shapes: [(&str, &[&str]); 5] = [
        ("default.pfx", &[]),
        ("legacy.pfx", &["-legacy"]),
        ("sha1-3des.pfx", &sha1),
        ("aes-sha256.pfx", &sha256),
        ("key-alone.pfx", &["-nocerts"]),
    ];
    for (name, further) in shapes {
        for password in [PASSWORD, ""] {
            let given = format!("pass:{password}");
            workshop.pfx(name, &[further, &["-passout", &given]].concat());
            assert_usable(&agent, &json!({ "File": name, "Password": password }));
            assert_usable(&agent, &json!({ "File": name, "X509KeyFilePassword": password }));
            let wrong = json!({ "File": name, "Password": "wrong-password" });
            let run = with_certificate(&agent, &wrong, &["protect", "value", "--any-path"], "x\n").must_exit(3);
            let failure = run.failure();
            assert!(
                failure.starts_with("appsettings.json:1:") && failure.contains("`EncryptionCertificate:File`"),
                "{failure}"
            );
            assert!(failure.contains("cannot be opened with this password") && !failure.contains("wrong-password"));
        }
    }
}

#[test]
fn a_pfx_file_without_mac_needs_to_be_accepted() {
    let agent = TestAgent::new();
    let workshop = Workshop::new(&agent, 2048);
    workshop.pfx("no-mac.pfx", &["-nomac", "-passout", "pass:abcdef"]);
    let refused = json!({ "File": "no-mac.pfx", "Password": "abcdef" });
    let run = with_certificate(&agent, &refused, &["protect", "value", "--any-path"], "x\n").must_exit(3);
    assert!(run.failure().contains("without MAC") && run.failure().contains("AllowNoMac"), "{}", run.failure());
    assert_usable(&agent, &json!({ "File": "no-mac.pfx", "Password": "abcdef", "AllowNoMac": true }));
}

#[test]
fn pem_files_are_read() {
    let agent = TestAgent::new();
    let workshop = Workshop::new(&agent, 2048);
    let read = |name: &str| fs::read_to_string(workshop.folder.join(name)).unwrap();
    agent.write("both.pem", &(read("cert.pem") + &read("key.pem")));
    assert_usable(&agent, &json!({ "File": "both.pem" }));
    assert_usable(&agent, &json!({ "File": "cert.pem", "KeyFile": "key.pem" }));
    workshop.openssl(&["rsa", "-in", "key.pem", "-traditional", "-out", "pkcs1.pem"]);
    assert!(read("pkcs1.pem").starts_with("-----BEGIN RSA PRIVATE KEY"));
    assert_usable(&agent, &json!({ "File": "cert.pem", "KeyFile": "pkcs1.pem" }));
    workshop.openssl(&["genrsa", "-out", "other.pem", "2048"]);
    workshop.openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "ec.pem"]);
    workshop.openssl(&["pkcs8", "-topk8", "-in", "key.pem", "-passout", "pass:abc", "-out", "locked.pem"]);
    for (settings, expected) in [
        (json!({ "File": "cert.pem" }), "holds no private key"),
        (json!({ "File": "cert.pem", "KeyFile": "other.pem" }), "do not belong together"),
        (json!({ "File": "cert.pem", "KeyFile": "ec.pem" }), "is no RSA key"),
        (json!({ "File": "cert.pem", "KeyFile": "locked.pem" }), "with a password"),
        (
            json!({ "File": "cert.pem", "KeyFile": "gone.pem" }),
            "`EncryptionCertificate:KeyFile` names a file that is not there",
        ),
        (json!({ "File": "gone.pfx" }), "`EncryptionCertificate:File` names a file that is not there"),
        (json!({ "File": "appsettings.agent.json" }), "is neither a PFX nor a PEM file"),
        (json!({ "Thumbprint": "00ff", "StoreLocation": "LocalMachine" }), "names a certificate in a store"),
        (json!({ "CertificateAzureKeyVault": "x" }), "names a certificate in a store"),
    ] {
        let run = with_certificate(&agent, &settings, &["protect", "value", "--any-path"], "x\n").must_exit(3);
        assert!(run.failure().contains(expected), "{settings}: {}", run.failure());
    }
}

/// What the samples of the vendor's documentation suggest, in both orders and with every padding.
#[test]
fn the_vendors_format_is_tried_and_called_unverified() {
    let agent = TestAgent::new();
    let workshop = Workshop::new(&agent, 2048);
    let settings = json!({ "File": "cert.pem", "KeyFile": "key.pem", "UseEncryptedAppsettings": true });
    agent.write("appsettings.json", &json!({ "EncryptionCertificate": settings }).to_string());
    let token = agent.sandbox.token().to_owned();
    agent.set("ApiKey", json!("wrong-and-plain"));
    agent.write("plain.txt", &token);
    let (key, iv) = ("00112233445566778899aabbccddeeff", [7; 16]);
    fs::write(workshop.folder.join("key.bin"), (0..16).map(|n| n * 17).collect::<Vec<u8>>()).unwrap();
    workshop.openssl(&[
        "enc",
        "-aes-128-cbc",
        "-K",
        key,
        "-iv",
        &"07".repeat(16),
        "-in",
        "plain.txt",
        "-out",
        "text.bin",
    ]);
    for padding in [
        &["rsa_padding_mode:oaep", "rsa_oaep_md:sha1"][..],
        &["rsa_padding_mode:oaep", "rsa_oaep_md:sha256"],
        &["rsa_padding_mode:pkcs1"],
    ] {
        let options: Vec<&str> = padding.iter().flat_map(|option| ["-pkeyopt", option]).collect();
        let wrap = ["pkeyutl", "-encrypt", "-certin", "-inkey", "cert.pem", "-in", "key.bin", "-out", "wrapped.bin"];
        workshop.openssl(&[&wrap, &options[..]].concat());
        let [wrapped, text] = ["wrapped.bin", "text.bin"].map(|name| fs::read(workshop.folder.join(name)).unwrap());
        for parts in [[&wrapped[..], &iv], [&iv, &wrapped]] {
            let value = [&[0x93, 0x10, 1, 0], parts[0], parts[1], &text].concat();
            fs::write(workshop.folder.join("value.bin"), value).unwrap();
            workshop.openssl(&["base64", "-A", "-in", "value.bin", "-out", "value.b64"]);
            let value = fs::read_to_string(workshop.folder.join("value.b64")).unwrap();
            assert!(value.starts_with("kxABA"), "{value}");
            agent.write(
                "appsettings.encrypted.agent.json",
                &json!({ "Connections": { CONNECTION: { "ApiKey": value } } }).to_string(),
            );
            let run = agent.run(&["check"]).must_exit(0);
            assert!(run.stderr.contains("unverified"), "{}", run.stderr);
        }
    }
}

#[test]
fn keys_of_keytool_and_python_are_read() {
    let agent = TestAgent::new();
    let workshop = Workshop { folder: agent.directory() };
    let has_keytool = Command::new("keytool").arg("-help").output().is_ok_and(|output| output.status.success());
    if has_keytool {
        workshop.run(
            "keytool",
            &[
                "-genkeypair",
                "-alias",
                "agent",
                "-keyalg",
                "RSA",
                "-keysize",
                "2048",
                "-dname",
                "CN=agent",
                "-storetype",
                "PKCS12",
                "-keystore",
                "java.pfx",
                "-storepass",
                "abcdef",
            ],
        );
        assert_usable(&agent, &json!({ "File": "java.pfx", "Password": "abcdef" }));
    } else {
        eprintln!("keytool is not installed: its files are not tested (Debian: apt-get install default-jre-headless)");
    }
    let Some(python) = acceptance::python() else {
        eprintln!("Python's cryptography is not installed: its files are not tested (`cargo xtask test` installs it)");
        return;
    };
    agent.write("make.py", PYTHON);
    workshop.run(python, &["make.py", PASSWORD]);
    for name in ["python-best.pfx", "python-pbes2.pfx"] {
        assert_usable(&agent, &json!({ "File": name, "Password": PASSWORD }));
    }
}

const PYTHON: &str = r#"
import datetime, sys
from cryptography import x509
from cryptography.x509.oid import NameOID
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, PrivateFormat, pkcs12
key = rsa.generate_private_key(65537, 2048)
name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "agent")])
day = datetime.datetime(2026, 1, 1)
cert = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    .serial_number(1).not_valid_before(day).not_valid_after(day.replace(year=2040)).sign(key, hashes.SHA256()))
password = sys.argv[1].encode()
pbes2 = (PrivateFormat.PKCS12.encryption_builder().kdf_rounds(50000)
    .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC).hmac_hash(hashes.SHA256()).build(password))
for file, way in [("python-best.pfx", BestAvailableEncryption(password)), ("python-pbes2.pfx", pbes2)]:
    open(file, "wb").write(pkcs12.serialize_key_and_certificates(b"agent", key, cert, None, way))
"#;

#[test]
fn weak_keys_warn_and_those_that_anybody_breaks_are_refused() {
    let agent = TestAgent::new();
    let workshop = Workshop::new(&agent, 1024);
    workshop.pfx("weak.pfx", &["-passout", "pass:abc"]);
    let run = assert_usable(&agent, &json!({ "File": "weak.pfx", "Password": "abc" }));
    assert!(run.stderr.contains("the key has 1024 bits"), "{}", run.stderr);

    let value = workshop.cms("00secret", &["cert.pem"]);
    assert_eq!(agent.run_with_input(&["unprotect", "value"], &value).must_exit(0).stdout, "00secret\n");

    workshop.openssl(&["genrsa", "-traditional", "-out", "tiny.pem", "768"]);
    let tiny = json!({ "File": "cert.pem", "KeyFile": "tiny.pem" });
    let run = with_certificate(&agent, &tiny, &["protect", "value", "--any-path"], "x\n").must_exit(3);
    assert!(run.failure().contains("a key of 768 bits"), "{}", run.failure());
}

#[test]
fn values_of_openssl_cms_are_opened_and_altered_ones_are_not_shown() {
    let agent = TestAgent::new();
    let workshop = Workshop::new(&agent, 2048);
    let settings = json!({ "File": "cert.pem", "KeyFile": "key.pem", "UseEncryptedAppsettings": true });
    agent.write("appsettings.json", &json!({ "EncryptionCertificate": settings }).to_string());
    let token = agent.sandbox.token().to_owned();
    let oaep = |hash: &'static str| {
        ["-recip", "cert.pem", "-keyopt", "rsa_padding_mode:oaep", "-keyopt", hash].map(str::to_owned)
    };
    for cipher in ["-aes-128-cbc", "-aes-192-cbc", "-aes-256-cbc", "-des3"] {
        let ways = [
            vec!["-recip".to_owned(), "cert.pem".to_owned()],
            oaep("rsa_oaep_md:sha1").to_vec(),
            oaep("rsa_oaep_md:sha256").to_vec(),
        ];
        for way in ways {
            let further: Vec<&str> = [cipher].into_iter().chain(way.iter().map(String::as_str)).collect();
            let value = workshop.cms(&token, &further);
            agent.set("ApiKey", json!("to be replaced"));
            let encrypted = |value: &str| json!({ "Connections": { CONNECTION: { "ApiKey": value } } }).to_string();
            agent.write("appsettings.encrypted.agent.json", &encrypted(&value));
            agent.run(&["check"]).must_exit(0);
            // Altered within the wrapped key: never opened. CMS itself does not prove more than that.
            let half = value.len() / 2;
            let altered = format!(
                "{}{}{}",
                &value[..half],
                if &value[half..=half] == "A" { "B" } else { "A" },
                &value[half + 1..]
            );
            agent.write("appsettings.encrypted.agent.json", &encrypted(&altered));
            let run = agent.run(&["check"]).must_exit(3);
            assert!(run.failure().contains("appsettings.encrypted.agent.json:1:"), "{further:?}: {}", run.failure());
        }
    }
    let gcm = workshop.cms(&token, &["-aes-256-gcm", "cert.pem"]);
    let run = agent.run_with_input(&["unprotect", "value"], &gcm).must_exit(3);
    assert!(run.failure().contains("in an encryption that is not known here"), "{}", run.failure());
}
