"""The whole platform: who uses it, partitions, region, VPC, zones, and what stands where."""

from __future__ import annotations

from rehearsal.pictures.canvas import (
    EDGE,
    GREY,
    MUTED,
    PAPER,
    RULE,
    SMALLEST,
    WIDTH,
    Canvas,
    Colour,
    Entry,
    Language,
    Words,
    width_of,
)
from rehearsal.pictures.colours import (
    BACKEND,
    BORDER,
    CLUSTER,
    GPU,
    KUBEFLOW,
    MIRROR,
    OF_COMPONENT,
)
from rehearsal.pictures.facts import Facts, Pool

_WIDE = WIDTH - 2 * EDGE
_REGION = Colour("#7b8794", "#fafbfc")
_VPC = Colour("#1d5fd1", "#f7faff")
_ZONE = Colour("#93a4b8", "#f7faff")
_MOST_POOLS = 3
_SHOWN = (0.3, 0.66)
"""Where the lines of the two kinds of people go down, in the width of the sheet."""
_WAY_IN = 46


def platform(facts: Facts, language: Language) -> str:
    """The picture of a plan."""
    canvas = Canvas(language)
    total, region = sum(facts.resources.values()), facts.region.name
    canvas.heading(
        (f"Kubeflow on EKS in {region}", f"{region} 的 Kubeflow 平台"),
        (
            f"Drawn from the plan: {total} resources, coloured by component.",
            f"由计划生成：共 {total} 个资源，颜色表示所属组件。",
        ),
    )
    _people(canvas)
    with canvas.frame(EDGE, _WIDE, _REGION):
        _ways_in(canvas, facts)
        _control_plane(canvas, facts)
        _network(canvas, facts)
        _services(canvas, facts)
    if facts.border:
        _border(canvas)
        _build_side(canvas, facts)
    _registries(canvas, facts)
    _components(canvas, facts)
    return canvas.svg(
        (f"Kubeflow on EKS in {region}", f"{region} 的 Kubeflow 平台"), _described(facts)
    )


def _described(facts: Facts) -> Words:
    region, nodes, database = facts.region, facts.nodes, facts.database
    what = (
        f"EKS {facts.cluster['version']}, {nodes.desired} × {nodes.machine}, "
        f"RDS {database.machine}, S3, Karpenter {facts.karpenter or '-'}"
    )
    return (
        f"Partition {region.partition}, region {region.name}: {what}.",
        f"分区 {region.partition}，区域 {region.name}：{what}。",
    )


def _people(canvas: Canvas) -> None:
    canvas.pen.y += 8
    by: tuple[Words, ...] = (("browser, notebooks, SDK", "浏览器、notebook、SDK"),)
    users = Entry("person", GREY, ("Data scientists", "数据科学家"), by)
    engineers = Entry("screen", GREY, ("Platform engineers", "平台工程师"), ("pulumi up, ./kf",))
    canvas.row(EDGE, _WIDE, [users, engineers])
    canvas.pen.y += _WAY_IN


def _ways_in(canvas: Canvas, facts: Facts) -> None:
    """From the people above the region to the control plane in it."""
    end = canvas.pen.y + 12
    top = canvas.pen.y - _WAY_IN
    first, second = (WIDTH * at for at in _SHOWN)
    for x in (first, second):
        canvas.arrow((x, top), (x, end), colour=GREY.line)
    way = "kubectl port-forward"
    canvas.text(first + 12, top + 28, way, size=SMALLEST, colour=MUTED)
    origin: Words = ("inside the VPC", "VPC 之内")
    admitted = list(facts.admitted)
    if admitted:
        more = f" +{len(admitted) - 1}" if admitted[1:] else ""
        origin = (f"from {admitted[0]}{more}", f"来自 {admitted[0]}{more}")
    canvas.text(second + 12, top + 28, origin, size=SMALLEST, colour=MUTED)


def _control_plane(canvas: Canvas, facts: Facts) -> None:
    canvas.pen.y += 12
    y, left = canvas.pen.y, EDGE + 16
    canvas.text(left, y + 26, facts.region.partition, size=20, bold=True)
    canvas.text(left, y + 50, facts.region.name, colour=MUTED)
    x = 168
    version = facts.cluster["version"]
    title: Words = (f"EKS {version}: control plane", f"EKS {version} 控制平面")
    below: Words = ("API server, reached from the VPC alone", "API server，只能从 VPC 内访问")
    if facts.admitted:
        below = (
            "API server: from these addresses and the VPC",
            "API server：仅限上述地址和 VPC 内部",
        )
    high = canvas.entry(x, WIDTH - EDGE - 12 - x, Entry("wheel", CLUSTER, title, (below,)))
    canvas.pen.y = y + max(high, 58) + 12


# -- the VPC --------------------------------------------------------------------------------------


def _network(canvas: Canvas, facts: Facts) -> None:
    x, wide = EDGE + 12, _WIDE - 24
    with canvas.frame(x, wide, _VPC):
        y = canvas.pen.y
        mine: Words = (f"VPC {facts.vpc}", f"VPC {facts.vpc}")
        theirs: Words = ("Your VPC", "已有的 VPC")
        canvas.text(x + 16, y + 28, mine if facts.vpc else theirs, size=18, bold=True)
        interface, gateway = facts.endpoints
        if interface + gateway:
            endpoints: Words = (
                f"endpoints of {interface + gateway} AWS services",
                f"{interface + gateway} 个 AWS 服务的终端节点",
            )
            canvas.text(x + wide - 16, y + 28, endpoints, size=SMALLEST, colour=MUTED, anchor="end")
        canvas.pen.y = y + 42
        _zones(canvas, facts, x + 12, wide - 24)
        canvas.pen.y += 12
    canvas.pen.y += 12


def _zones(canvas: Canvas, facts: Facts, x: float, wide: float) -> None:
    """Columns for zones; what spans them stands across."""
    names = [zone.name for zone in facts.zones]
    columns = names or [""] * max(facts.subnets, 1)
    gap = 10
    each = (wide - gap * (len(columns) - 1)) / len(columns)
    top, place = canvas.pen.y, canvas.place()
    for number in range(len(columns)):
        middle, y = x + number * (each + gap) + each / 2, top
        if not facts.zones:
            label: Words = (f"private subnet {number + 1}", f"私有子网 {number + 1}")
            canvas.text(middle, y + 25, label, bold=True, anchor="middle")
            continue
        zone = facts.zones[number]
        canvas.text(middle, y + 25, zone.name, bold=True, anchor="middle")
        nat = " + NAT" if number < facts.nats else ""
        canvas.box(middle - each / 2 + 8, y + 36, each - 16, 50, Colour(_ZONE.line, PAPER))
        public: Words = (f"public{nat}", f"公有子网{nat}")
        canvas.text(middle, y + 56, public, size=SMALLEST, anchor="middle")
        canvas.text(middle, y + 76, zone.public, size=SMALLEST, colour=MUTED, anchor="middle")
        canvas.text(middle, y + 108, ("private", "私有子网"), size=SMALLEST, anchor="middle")
        canvas.text(middle, y + 127, zone.private, size=SMALLEST, colour=MUTED, anchor="middle")
    canvas.pen.y = top + (138 if facts.zones else 38)
    _across(canvas, facts, x + 10, wide - 20)
    canvas.pen.y += 2
    for number in range(len(columns)):
        canvas.box(
            x + number * (each + gap),
            top,
            each,
            canvas.pen.y - top,
            _ZONE,
            dashed=True,
            at=place,
        )


def _across(canvas: Canvas, facts: Facts, x: float, wide: float) -> None:
    _nodes(canvas, facts, x, wide)
    for pool in facts.pools[:_MOST_POOLS]:
        canvas.pen.y += canvas.entry(x, wide, _pool(pool), dashed=True) + 10
    more = len(facts.pools) - _MOST_POOLS
    if more > 0:
        others: Words = (f"and {more} more pools", f"另有 {more} 个节点池")
        canvas.pen.y += canvas.entry(x, wide, Entry("gpu", GPU, others), dashed=True) + 10
    database = facts.database
    standby: Words = ("a standby in a second zone", "另一个可用区有备用实例")
    alone: Words = ("in one zone, without standby", "单可用区，没有备用实例")
    how = standby if database.standby else alone
    users = facts.database_users
    title: Words = f"RDS for MySQL {database.version}, {database.machine}"
    below: Words = (
        f"{how[0]} · {database.gib} GiB · {users} users",
        f"{how[1]} · {database.gib} GiB · {users} 个用户",
    )
    canvas.pen.y += canvas.entry(x, wide, Entry("database", BACKEND, title, (below,))) + 10
    if facts.file_systems:
        shared: Words = ("volumes that many pods write, in every zone", "可由多个 Pod 同时读写的卷")
        canvas.pen.y += canvas.entry(x, wide, Entry("files", CLUSTER, "EFS", (shared,))) + 10


def _pool(pool: Pool) -> Entry:
    title: Words = (
        f"GPU pool {pool.name}: 0 to {pool.gpus} {'slices' if pool.sliced else 'GPUs'}",
        f"GPU 节点池 {pool.name}：0 到 {pool.gpus} {'个切片' if pool.sliced else '块 GPU'}",
    )
    if pool.gpus is None:
        most = ", ".join(f"{value} {key}" for key, value in pool.limits.items())
        title = (f"Pool {pool.name}: 0 to {most}", f"节点池 {pool.name}：0 到 {most}")
    which = [", ".join(each) for each in (pool.families, pool.capacity) if each]
    below: Words = (
        " · ".join([*which, f"empty for {pool.idle}: removed"]),
        " · ".join([*which, f"空闲 {pool.idle} 后释放"]),
    )
    return Entry("gpu" if pool.gpus else "machine", GPU, title, (below,))


def _nodes(canvas: Canvas, facts: Facts, x: float, wide: float) -> None:
    nodes, colour = facts.nodes, Colour(CLUSTER.line, PAPER)
    with canvas.frame(x, wide, colour):
        y = canvas.pen.y
        canvas.tile("machine", x + 10, y + 11, CLUSTER)
        title: Words = (
            f"Nodes {nodes.name}: {nodes.desired} × {nodes.machine}, at most {nodes.most}",
            f"节点组 {nodes.name}：{nodes.desired} × {nodes.machine}，最多 {nodes.most} 台",
        )
        canvas.text(x + 54, y + 25, title, bold=True)
        below: Words = (
            f"{facts.objects} objects of Kubeflow · namespaces of users: {facts.users}",
            f"Kubeflow 的 {facts.objects} 个对象 · 用户命名空间：{facts.users}",
        )
        canvas.pen.y = canvas.paragraph(
            x + 54, y + 47, wide - 64, below, size=SMALLEST, colour=MUTED
        )
        canvas.pen.y -= 6
        chips: list[tuple[Words, Colour]] = [(part, KUBEFLOW) for part in facts.parts]
        if facts.karpenter:
            chips.append((f"Karpenter {facts.karpenter}", GPU))
        if facts.webhook_pods:
            chips.append((("image webhook", "镜像 webhook"), MIRROR))
        canvas.chips(x + 12, wide - 24, chips)
        canvas.pen.y += 4
    canvas.pen.y += 10


# -- the region's services ------------------------------------------------------------------------


def _services(canvas: Canvas, facts: Facts) -> None:
    entries = _entries(facts)
    for place in range(0, len(entries), 2):
        canvas.row(EDGE + 12, _WIDE - 24, entries[place : place + 2])
        canvas.pen.y += 10
    canvas.pen.y += 2


def _entries(facts: Facts) -> list[Entry]:
    secrets = facts.count("aws:secretsmanager/secret:Secret", "aws")
    keys = facts.count("aws:kms/key:Key", "aws")
    roles = facts.count("aws:iam/role:Role", "aws")
    found = [
        _entry("bucket", BACKEND, "S3", "artifacts, logs, models", "产物、日志、模型"),
        _entry("key", BACKEND, "Secrets Manager", f"{secrets} secrets", f"{secrets} 个机密"),
    ]
    images = len(facts.images)
    if facts.registry and images:
        copies = (f"copies of {images} images", f"{images} 个镜像的副本")
        found.append(_entry("box", MIRROR, "ECR", *copies))
    elif facts.registry:
        found.append(_entry("box", MIRROR, "ECR", "copies of images", "镜像副本"))
    elif facts.caches:
        caches = (f"caches of {facts.caches} registries", f"{facts.caches} 个公共仓库的缓存")
        found.append(_entry("box", MIRROR, "ECR", *caches))
    if facts.copies_table:
        starts = ("start one copy per image", "每个镜像只复制一次")
        found.append(_entry("table", MIRROR, "Lambda, DynamoDB", *starts))
    if facts.build and not facts.border:
        found.append(_entry("code", MIRROR, "CodeBuild", "copies images", "复制镜像"))
    rights = (f"{roles} roles, {keys} keys", f"{roles} 个角色，{keys} 个加密密钥")
    found.append(_entry("lock", CLUSTER, "IAM, KMS", *rights))
    if facts.count("aws:sqs/queue:Queue"):
        warned = ("warnings for Karpenter", "向 Karpenter 预警")
        found.append(_entry("mail", GPU, "EventBridge, SQS", *warned))
    return found


def _entry(icon: str, colour: Colour, title: str, english: str, chinese: str) -> Entry:
    return Entry(icon, colour, title, ((english, chinese),))


# -- beyond the border ----------------------------------------------------------------------------


def _border(canvas: Canvas) -> None:
    top = canvas.pen.y
    y, end = top + 40, top + 84
    canvas.line((EDGE, y), (WIDTH - EDGE, y), colour=BORDER.line, thick=2.5, dash="10 6")
    label: Words = (
        "Border between partitions: no IAM trust crosses it",
        "分区边界：IAM 信任无法跨越",
    )
    wide = width_of(canvas.say(label), SMALLEST, bold=True) + 28
    canvas.arrow((44, top), (44, end), colour=MIRROR.line)
    canvas.arrow((WIDTH - 44, end), (WIDTH - 44, top), colour=MIRROR.line)
    canvas.box(WIDTH / 2 - wide / 2, y - 16, wide, 32, BORDER, round_=16)
    canvas.text(
        WIDTH / 2, y + 5, label, size=SMALLEST, bold=True, colour=BORDER.line, anchor="middle"
    )
    starts: Words = ("starts a build: access key 1", "启动构建：访问密钥 1")
    pushes: Words = ("pushes to ECR: access key 2", "推送到 ECR：访问密钥 2")
    canvas.text(56, end - 10, starts, size=SMALLEST, colour=MUTED)
    canvas.text(WIDTH - 56, end - 10, pushes, size=SMALLEST, colour=MUTED, anchor="end")
    canvas.pen.y = end


def _build_side(canvas: Canvas, facts: Facts) -> None:
    build = facts.build
    if build is None:
        return
    with canvas.frame(EDGE, _WIDE, _REGION):
        y = canvas.pen.y
        canvas.text(EDGE + 16, y + 30, build.region.partition, size=20, bold=True)
        account: Words = (
            f"{build.region.name}, a second account",
            f"{build.region.name}，第二个账号",
        )
        offset = width_of(build.region.partition, 20, bold=True) + 10
        canvas.text(EDGE + 16 + offset, y + 30, account, colour=MUTED)
        canvas.pen.y = y + 44
        copies = ("copies by digest", "按 digest 复制镜像")
        key = ("access key 2", "访问密钥 2")
        entries = [
            _entry("code", MIRROR, "CodeBuild", *copies),
            _entry("key", MIRROR, "Secrets Manager", *key),
        ]
        canvas.row(EDGE + 12, _WIDE - 24, entries)
        canvas.pen.y += 12


def _registries(canvas: Canvas, facts: Facts) -> None:
    top = canvas.pen.y
    canvas.pen.y = top + 40
    x = WIDTH / 4
    canvas.arrow((x, canvas.pen.y), (x, top), colour=GREY.line)
    direct: Words = ("nodes pull from them", "节点直接拉取")
    if facts.nats:
        direct = ("nodes pull through NAT", "节点经 NAT 拉取")
    if facts.mirrored and not facts.build:
        direct = ("ECR fetches at the first pull", "首次拉取时由 ECR 获取")
    reads: Words = ("each image once", "每个镜像一次")
    canvas.text(
        x + 12,
        top + 27,
        reads if facts.build else direct,
        size=SMALLEST,
        colour=MUTED,
    )
    title: Words = ("Public registries", "公共镜像仓库")
    counted = " · ".join(f"{host} {number}" for host, number in facts.registries())
    below: Words = counted or (
        "every image from the registry of its publisher",
        "每个镜像都来自发布者自己的仓库",
    )
    canvas.pen.y += canvas.entry(EDGE, _WIDE, Entry("globe", GREY, title, (below,))) + 14


def _components(canvas: Canvas, facts: Facts) -> None:
    canvas.line((EDGE, canvas.pen.y), (WIDTH - EDGE, canvas.pen.y), colour=RULE, thick=1)
    canvas.pen.y += 14
    legend: list[tuple[Words, Colour]] = [
        (f"{name} {number}", OF_COMPONENT.get(name, GREY))
        for name, number in facts.resources.items()
    ]
    canvas.chips(EDGE, _WIDE, legend)
    canvas.pen.y -= 8
