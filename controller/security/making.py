"""Makes what is missing of a security folder, and leaves alone what is there."""

import grp
import os
import pwd
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from cryptography import x509

from broker.acl import mosquitto_acl
from broker.credentials import read_secret
from broker.errors import InvalidError, StorageError
from broker.passwords import changing, hashed, matches, new_password
from broker.signing import Signer, make_key
from broker.topics import CONTROLLER, OPERATOR, checked_id
from controller.access.secret import new_secret
from controller.security import certificates
from controller.security.configuration import configuration
from controller.security.folder import FOLDER, OPEN_TO_GROUP, PASSABLE, PEOPLE_PORT, PRIVATE, SHARED, Security

URL_KEY_BYTES = 32
Done = Literal["made", "kept", "renewed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A file of the folder: what was done, and what it is for."""

    file: str
    done: Done
    says: str


@dataclass(slots=True, kw_only=True)
class Making:
    """One pass over `security`; the broker runs as `broker_user`, whose group may read what it needs."""

    security: Security
    broker_user: str
    now: datetime
    pieces: list[Piece] = field(default_factory=list)

    def run(self, names: Collection[str], asked: Collection[str], operators: Sequence[str], *, renew: bool) -> None:
        """Make what is missing; the server's certificate gets `names`, and is made again when it lacks one of `asked`.

        Raises StorageError, and InvalidError for a file that is damaged or a broker's user that nobody knows.
        """
        try:
            self._folders()
            ca = self._authority()
            self._server(ca, names, asked, renew=renew)
            self._users(operators)
            self._keys()
            self._configurations()
        except OSError as error:
            said = f"cannot write {error.filename or self.security.root}: {error.strerror}"
            raise StorageError(said, hint="name another folder with --data, or look at its rights") from error

    @property
    def foreign(self) -> bool:
        """Whether the broker runs as somebody else than we."""
        return _user(self.broker_user).pw_uid != os.geteuid()

    def _folders(self) -> None:
        self.security.root.mkdir(parents=True, exist_ok=True)
        self.security.broker_data.mkdir(exist_ok=True)
        self.security.mqtt_options.mkdir(exist_ok=True, mode=FOLDER)
        self.security.root.chmod(PASSABLE if self.foreign else FOLDER)
        self.security.broker_data.chmod(FOLDER)
        if self.foreign:
            self._hand_over(self.security.root)
            self._hand_over(self.security.broker_data)
            if os.geteuid() == 0:
                os.chown(self.security.broker_data, _user(self.broker_user).pw_uid, -1)
            else:
                self.security.broker_data.chmod(OPEN_TO_GROUP)

    def _authority(self) -> x509.Certificate:
        security = self.security
        if security.ca.exists():
            self._note(security.ca, "kept", "the authority that devices trust")
            return self._read(security.ca)
        key = certificates.new_key()
        ca = certificates.authority(key, f"EdgeWatt fleet {secrets.token_hex(3)}", self.now)
        self._put(security.ca_key, certificates.key_pem(key))
        self._put(security.ca, certificates.certificate_pem(ca), shared=True)
        self._put(security.crl, certificates.empty_crl(ca, key, self.now), shared=True)
        self._note(security.ca_key, "made", "its key: who has it can pass for your broker; a copy belongs in a safe")
        self._note(security.ca, "made", "the authority that devices trust, for 20 years")
        self._note(security.crl, "made", "its list of revoked certificates, empty: devices have passwords")
        return ca

    def _server(self, ca: x509.Certificate, names: Collection[str], asked: Collection[str], *, renew: bool) -> None:
        security, known = self.security, set[str]()
        if security.server.exists() and security.server_key.exists():
            server = self._read(security.server)
            known = set(certificates.names_of(server))
            soon = server.not_valid_after_utc - self.now < certificates.RENEW_BEFORE
            foreign = server.issuer != ca.subject
            if not (renew or soon or foreign or set(asked) - known):
                until = f"{server.not_valid_after_utc:%Y-%m-%d}"
                self._note(security.server, "kept", f"for {', '.join(sorted(known))}, until {until}")
                return
            key = certificates.read_key(security.server_key.read_bytes())
        else:
            key = certificates.new_key()
            self._put(security.server_key, certificates.key_pem(key), shared=True)
            self._note(security.server_key, "made", "the key of broker and controller")
        wanted = {*known, *asked} if known else {*names, *asked}
        server = certificates.server_certificate(key, wanted, ca, self._ca_key(), self.now)
        self._put(security.server, certificates.certificate_pem(server), shared=True)
        done: Done = "renewed" if known else "made"
        until = f"{server.not_valid_after_utc:%Y-%m-%d}"
        self._note(security.server, done, f"of broker and controller, for {', '.join(sorted(wanted))}, until {until}")

    def _users(self, operators: Sequence[str]) -> None:
        """Give the controller and each person a password, and write the rights of all."""
        security = self.security
        for name in operators:
            if checked_id(name) == CONTROLLER:
                raise InvalidError("an operator cannot be called controller", hint="take the person's name")
        if new := not security.passwords.exists():
            self._put(security.passwords, b"", shared=True)
        with changing(security.passwords) as users:
            before = dict(users)
            if taken := sorted((set(operators) - set(security.operators)) & set(users)):
                raise InvalidError(f"{taken[0]} is a device already", hint="take another name for the person")
            for name in (CONTROLLER, *dict.fromkeys((*security.operators, *operators))):
                users[name] = self._user(name, users.get(name, ""))
        done: Done = "made" if new else "kept" if users == before else "renewed"
        self._note(security.passwords, done, f"the broker's users, {len(users)}, hashed")
        lines = "".join(f"{name}:{users[name]}\n" for name in security.operators)
        self._derive(security.people, lines, "those of them who are people")
        self._derive(security.acl, mosquitto_acl(security.operators), "who may read and write which topic")

    def _user(self, name: str, stands: str) -> str:
        """Return what stands for the password of `name`, which is made when there is none."""
        path = self.security.password_of(name)
        password = read_secret(str(path)) if path.exists() else None
        if password is None:
            password = new_password()
            self._put(path, password.encode() + b"\n")
            self._note(path, "made", f"the broker's password of {name}")
        else:
            self._note(path, "kept", f"the broker's password of {name}")
        return stands if matches(password, stands) else hashed(password)

    def _keys(self) -> None:
        security = self.security
        if security.signing_key.exists():
            self._note(security.signing_key, "kept", "signs what devices may run")
        else:
            make_key(security.signing_key)
            self._note(security.signing_key, "made", "signs what devices may run")
        public = Signer(security.signing_key).public_key
        self._derive(security.verify_key, f"{public}\n", "its public half: a device's verify_key")
        self._once(security.admin_token, f"{new_secret()}\n".encode, "signs you in to the controller, as admin")
        self._once(security.url_key, lambda: secrets.token_bytes(URL_KEY_BYTES), "makes addresses of artifacts expire")

    def _configurations(self) -> None:
        security = self.security
        text = configuration(security, self.broker_user)
        self._once(security.mosquitto, text.encode, "Mosquitto's configuration, ready to run", shared=True)
        for tool in ("mosquitto_pub", "mosquitto_sub"):
            says = f"what {tool} is told with XDG_CONFIG_HOME={security.mqtt_options}"
            self._derive(security.mqtt_options / tool, _mqtt_options(security), says, shared=False)
        self._once(security.client_settings, _client_settings(security).encode, "settings of `edgewatt` for you here")

    def _once(self, path: Path, content: Callable[[], bytes], says: str, *, shared: bool = False) -> None:
        if path.exists():
            self._note(path, "kept", says)
            return
        self._put(path, content(), shared=shared)
        self._note(path, "made", says)

    def _derive(self, path: Path, text: str, says: str, *, shared: bool = True) -> None:
        """Keep `path` as `text`, which follows from other files."""
        before = path.read_text("utf-8") if path.exists() else None
        if before != text:
            self._put(path, text.encode(), shared=shared)
        self._note(path, "kept" if before == text else "made" if before is None else "renewed", says)

    def _put(self, path: Path, content: bytes, *, shared: bool = False) -> None:
        """Write a file whole, for its owner, and where `shared` for the broker."""
        readable = shared and self.foreign
        temporary = path.with_name(path.name + ".new")
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if readable:
            self._hand_over(temporary)
            temporary.chmod(SHARED)
        temporary.replace(path)

    def _hand_over(self, path: Path) -> None:
        """Give `path` to the group of the broker's user."""
        group = _user(self.broker_user).pw_gid
        try:
            os.chown(path, -1, group)
        except PermissionError:
            name = grp.getgrgid(group).gr_name
            hint = f"run this as root, or join the group {name}, or run the broker as yourself with --broker-user"
            raise InvalidError(f"only root may give files to the group {name}", hint=hint) from None

    def _ca_key(self) -> certificates.Key:
        path = self.security.ca_key
        if not path.exists():
            raise InvalidError(f"{path} is not there, and a new certificate needs it", hint="put it back for a moment")
        try:
            return certificates.read_key(path.read_bytes())
        except ValueError as error:
            raise InvalidError(f"{path} is damaged: {error}", hint="put back a copy") from None

    def _read(self, path: Path) -> x509.Certificate:
        try:
            return certificates.read_certificate(path.read_bytes())
        except ValueError as error:
            raise InvalidError(f"{path} is damaged: {error}", hint="put back a copy, or remove it") from None

    def _note(self, path: Path, done: Done, says: str) -> None:
        self.pieces.append(Piece(file=path.name, done=done, says=says))


def _user(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        hint = "--broker-user names the one that your broker runs as"
        raise InvalidError(f"no user '{name}' on this machine", hint=hint) from None


def _client_settings(security: Security) -> str:
    return (
        f'controller_url = "https://localhost:5000"\ncontroller_ca_file = "{security.ca}"\n'
        f'token_file = "{security.admin_token}"\n'
        f'broker_url = "mqtts://localhost:8884"\nbroker_username = "operator"\n'
        f'broker_password_file = "{security.password_of("operator")}"\nbroker_ca_file = "{security.ca}"\n'
    )


def _mqtt_options(security: Security) -> str:
    """Return the options of mosquitto_pub and mosquitto_sub for a person, so that none of them is typed."""
    password = read_secret(str(security.password_of(OPERATOR)))
    return f"-h localhost\n-p {PEOPLE_PORT}\n--cafile {security.ca}\n-u {OPERATOR}\n-P {password}\n"
