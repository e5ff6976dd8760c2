"""A self-made authority and certificates signed by it, made with the openssl command."""

import subprocess
from pathlib import Path


def make_certificates(folder: Path) -> Path:
    """`ca`, `server` and `client` for 127.0.0.1 and localhost, `elsewhere` for another host, and a `stranger` authority
    that signed nothing; each as NAME.pem and NAME.key."""

    def run(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder, timeout=30)

    for authority in ("ca", "stranger"):
        run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN=test {authority}",
            "-keyout", f"{authority}.key", "-out", f"{authority}.pem")
    here = "subjectAltName=IP:127.0.0.1,DNS:localhost\n"
    for name, names in (("server", here), ("client", here), ("elsewhere", "subjectAltName=DNS:elsewhere.example\n")):
        (folder / "san").write_text(names)
        run("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "san", "-out", f"{name}.pem")
    return folder
