"""A self-made authority and certificates signed by it, made with the openssl command."""

import subprocess
from pathlib import Path

CA_CONFIG = """
[ca]
default_ca = main
[main]
database = {name}.index
serial = {name}.number
crlnumber = {name}.crlnumber
default_md = sha256
default_crl_days = 2
"""


class Authority:
    """A certificate authority in `folder`: `NAME.pem`, `NAME.key`."""

    def __init__(self, folder: Path, name="ca", kind="rsa:2048"):
        self.folder, self.name = folder, name
        (folder / f"{name}.cnf").write_text(CA_CONFIG.format(name=name))
        (folder / f"{name}.index").write_text("")
        (folder / f"{name}.crlnumber").write_text("1000\n")
        self.run("req", "-x509", *self.key(kind), "-nodes", "-days", "2", "-subj", f"/CN=test authority {name}",
                 "-keyout", f"{name}.key", "-out", f"{name}.pem")

    @staticmethod
    def key(kind: str) -> list:
        return ["-newkey", "ec", "-pkeyopt", f"ec_paramgen_curve:{kind}"] if kind.startswith("P-") else ["-newkey", kind]

    def run(self, *arguments) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=self.folder, timeout=30)

    def issue(self, name: str, subject: str | None = None, names="IP:127.0.0.1,DNS:localhost", kind="rsa:2048") -> Path:
        """Makes `NAME.pem` and `NAME.key`."""
        (self.folder / f"{name}.ext").write_text(f"subjectAltName={names}\n")
        self.run("req", *self.key(kind), "-nodes", "-utf8", "-subj", subject or f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        self.run("x509", "-req", "-in", f"{name}.csr", "-CA", f"{self.name}.pem", "-CAkey", f"{self.name}.key", "-CAcreateserial",
                 "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.pem")
        return self.folder / f"{name}.pem"

    def revocation_list(self, *revoked: str, to: str, days=2) -> Path:
        """A list that also has the certificates of these names, beside those of earlier lists."""
        common = ["-config", f"{self.name}.cnf", "-keyfile", f"{self.name}.key", "-cert", f"{self.name}.pem"]
        for name in revoked:
            self.run("ca", *common, "-revoke", f"{name}.pem")
        span = ["-crldays", str(days)] if days else ["-crl_lastupdate", "20200101000000Z", "-crl_nextupdate", "20200102000000Z"]
        self.run("ca", *common, "-gencrl", *span, "-out", f"{to}.new")
        (self.folder / f"{to}.new").rename(self.folder / to)
        return self.folder / to


class CertificateFolder(type(Path())):
    """A folder with certificates; `authority` makes more."""

    authority: Authority


def make_certificates(folder: Path) -> CertificateFolder:
    """`ca`, `server` and `client` for 127.0.0.1 and localhost, `elsewhere` for another host, and a `stranger` authority
    that signed nothing; each as NAME.pem and NAME.key."""
    folder = CertificateFolder(folder)
    Authority(folder, "stranger")
    folder.authority = Authority(folder)
    for name in ("server", "client"):
        folder.authority.issue(name)
    folder.authority.issue("elsewhere", names="DNS:elsewhere.example")
    return folder
