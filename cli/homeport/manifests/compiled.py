"""The templates as functions: made by scripts/compile_templates.py from templates/*.j2, not to be changed by hand."""

# ruff: noqa
# fmt: off
from collections.abc import Callable
from typing import Any

from homeport.manifests.yamltext import block, comment, indented, scalar


def _meta_labels(pairs: Any) -> str:
    _out: list[str] = []
    for key, value in pairs.items():
        _out.append(scalar(key))
        _out.append(': ')
        _out.append(scalar(value))
        _out.append('\n')
    return "".join(_out)


def _meta_metadata(meta: Any, annotations: Any = {}) -> str:
    _out: list[str] = []
    _out.append('metadata:\n  name: ')
    _out.append(scalar(meta.name))
    _out.append('\n')
    if (not (meta.namespace is None)):
        _out.append('  namespace: ')
        _out.append(scalar(meta.namespace))
        _out.append('\n')
    if meta.labels:
        _out.append('  labels:\n    ')
        _out.append(indented(_meta_labels(meta.labels).strip(), 4))
        _out.append('\n')
    if annotations:
        _out.append('  annotations:\n    ')
        _out.append(indented(_meta_labels(annotations).strip(), 4))
        _out.append('\n')
    return "".join(_out)


def _pod_why(text: Any) -> str:
    _out: list[str] = []
    if text:
        _out.append('# ')
        _out.append(comment(text))
        _out.append('\n')
    return "".join(_out)


def _pod_quantities(items: Any) -> str:
    _out: list[str] = []
    for q in items:
        if q.why:
            _out.append('# ')
            _out.append(comment(q.why))
            _out.append('\n')
        _out.append(scalar(q.name))
        _out.append(': ')
        _out.append(scalar(q.amount))
        _out.append('\n')
    return "".join(_out)


def _pod_probe(name: Any, p: Any) -> str:
    _out: list[str] = []
    if (not (p is None)):
        _out.append(str(name))
        _out.append(':\n  httpGet:\n    path: ')
        _out.append(scalar(p.path))
        _out.append('\n    port: http\n')
        if p.why:
            _out.append('  # ')
            _out.append(comment(p.why))
            _out.append('\n')
        _out.append('  failureThreshold: ')
        _out.append(str(p.failures))
        _out.append('\n  periodSeconds: ')
        _out.append(str(p.period_s))
        _out.append('\n  timeoutSeconds: ')
        _out.append(str(p.timeout_s))
        _out.append('\n')
    return "".join(_out)


def _pod_container(c: Any) -> str:
    _out: list[str] = []
    if c.why:
        _out.append('# ')
        _out.append(comment(c.why))
        _out.append('\n')
    _out.append('- name: ')
    _out.append(scalar(c.name))
    _out.append('\n  image: ')
    _out.append(scalar(c.image))
    _out.append('\n')
    if c.command:
        _out.append('  command:\n')
        for part in c.command:
            _out.append('    - ')
            _out.append(scalar(part))
            _out.append('\n')
    if c.args:
        _out.append('  args:\n')
        for part in c.args:
            _out.append('    - ')
            _out.append(str((block(part, 6) if ('\n' in part) else scalar(part))))
            _out.append('\n')
    if c.env_from:
        _out.append('  envFrom:\n')
        for secret in c.env_from:
            _out.append('    - secretRef:\n        name: ')
            _out.append(scalar(secret))
            _out.append('\n')
    if c.env:
        _out.append('  env:\n')
        for e in c.env:
            _out.append('    - name: ')
            _out.append(scalar(e.name))
            _out.append('\n')
            if (e.secret is None):
                _out.append('      value: ')
                _out.append(scalar(e.value))
                _out.append('\n')
            else:
                _out.append('      valueFrom:\n        secretKeyRef:\n          name: ')
                _out.append(scalar(e.secret))
                _out.append('\n          key: ')
                _out.append(scalar(e.key))
                _out.append('\n')
    if (not (c.port is None)):
        _out.append('  ports:\n    - name: http\n      containerPort: ')
        _out.append(str(c.port))
        _out.append('\n')
    if (c.requests or c.limits):
        _out.append('  resources:\n')
        if c.requests:
            _out.append('    requests:\n      ')
            _out.append(indented(_pod_quantities(c.requests).strip(), 6))
            _out.append('\n')
        if c.limits:
            _out.append('    limits:\n      ')
            _out.append(indented(_pod_quantities(c.limits).strip(), 6))
            _out.append('\n')
    if (not (c.startup is None)):
        _out.append('  ')
        _out.append(indented(_pod_probe('startupProbe', c.startup).strip(), 2))
        _out.append('\n')
    if (not (c.readiness is None)):
        _out.append('  ')
        _out.append(indented(_pod_probe('readinessProbe', c.readiness).strip(), 2))
        _out.append('\n')
    if (not (c.liveness is None)):
        _out.append('  ')
        _out.append(indented(_pod_probe('livenessProbe', c.liveness).strip(), 2))
        _out.append('\n')
    if c.no_liveness_why:
        _out.append('  # ')
        _out.append(comment(c.no_liveness_why))
        _out.append('\n')
    if (not (c.pre_stop_s is None)):
        _out.append('  lifecycle:\n    preStop:\n      sleep:\n        # ')
        _out.append(comment(c.pre_stop_why))
        _out.append('\n        seconds: ')
        _out.append(str(c.pre_stop_s))
        _out.append('\n')
    _out.append('  securityContext:\n    allowPrivilegeEscalation: false\n    capabilities:\n      drop:\n        - ALL\n    readOnlyRootFilesystem: true\n')
    if c.mounts:
        _out.append('  volumeMounts:\n')
        for m in c.mounts:
            _out.append('    - name: ')
            _out.append(scalar(m.name))
            _out.append('\n      mountPath: ')
            _out.append(scalar(m.path))
            _out.append('\n')
            if m.read_only:
                _out.append('      readOnly: true\n')
    return "".join(_out)


def _pod_volume(v: Any) -> str:
    _out: list[str] = []
    if v.why:
        _out.append('# ')
        _out.append(comment(v.why))
        _out.append('\n')
    _out.append('- name: ')
    _out.append(scalar(v.name))
    _out.append('\n')
    if (v.kind == 'disk'):
        _out.append('  emptyDir:\n    sizeLimit: ')
        _out.append(str(v.size_gib))
        _out.append('Gi\n')
    elif (v.kind == 'memory'):
        _out.append('  emptyDir:\n    medium: Memory\n    sizeLimit: ')
        _out.append(str(v.size_gib))
        _out.append('Gi\n')
    elif (v.kind == 'ephemeral'):
        _out.append('  ephemeral:\n    volumeClaimTemplate:\n      spec:\n        accessModes:\n          - ReadWriteOnce\n        storageClassName: ')
        _out.append(scalar(v.storage_class))
        _out.append('\n        resources:\n          requests:\n            storage: ')
        _out.append(str(v.size_gib))
        _out.append('Gi\n')
    elif (v.kind == 'claim'):
        _out.append('  persistentVolumeClaim:\n    claimName: ')
        _out.append(scalar(v.source))
        _out.append('\n')
    elif (v.kind == 'image'):
        _out.append('  image:\n    reference: ')
        _out.append(scalar(v.source))
        _out.append('\n    pullPolicy: IfNotPresent\n')
    else:
        _out.append('  configMap:\n    name: ')
        _out.append(scalar(v.source))
        _out.append('\n    items:\n')
        for key, path in v.items:
            _out.append('      - key: ')
            _out.append(scalar(key))
            _out.append('\n        path: ')
            _out.append(scalar(path))
            _out.append('\n')
    return "".join(_out)


def _pod_template(pod: Any) -> str:
    _out: list[str] = []
    _out.append('metadata:\n  labels:\n    ')
    _out.append(indented(_meta_labels(pod.labels).strip(), 4))
    _out.append('\n')
    if pod.annotations:
        _out.append('  annotations:\n    ')
        _out.append(indented(_meta_labels(pod.annotations).strip(), 4))
        _out.append('\n')
    _out.append('spec:\n  serviceAccountName: ')
    _out.append(scalar(pod.service_account))
    _out.append('\n  automountServiceAccountToken: false\n  # the Services of the namespace would set variables such as VLLM_PORT, which engines read\n  enableServiceLinks: false\n')
    if (not (pod.restart_policy is None)):
        _out.append('  restartPolicy: ')
        _out.append(str(pod.restart_policy))
        _out.append('\n')
    if (not (pod.grace_s is None)):
        _out.append('  # ')
        _out.append(comment(pod.grace_why))
        _out.append('\n  terminationGracePeriodSeconds: ')
        _out.append(str(pod.grace_s))
        _out.append('\n')
    if pod.node_selector:
        _out.append('  # ')
        _out.append(comment(pod.terms_why))
        _out.append('\n  nodeSelector:\n    ')
        _out.append(indented(_meta_labels(pod.node_selector).strip(), 4))
        _out.append('\n')
    if (pod.terms or pod.beside):
        _out.append('  affinity:\n')
    if pod.beside:
        _out.append('    podAffinity:\n      requiredDuringSchedulingIgnoredDuringExecution:\n        # ')
        _out.append(comment(pod.beside_why))
        _out.append('\n        - labelSelector:\n            matchLabels:\n              ')
        _out.append(indented(_meta_labels(pod.beside).strip(), 14))
        _out.append('\n          topologyKey: kubernetes.io/hostname\n')
    if pod.terms:
        _out.append('    nodeAffinity:\n      requiredDuringSchedulingIgnoredDuringExecution:\n        # ')
        _out.append(comment(pod.terms_why))
        _out.append('\n        nodeSelectorTerms:\n')
        for term in pod.terms:
            _out.append('          - matchExpressions:\n')
            for m in term:
                _out.append('              - key: ')
                _out.append(scalar(m.key))
                _out.append('\n                operator: In\n                values:\n')
                for value in m.values:
                    _out.append('                  - ')
                    _out.append(scalar(value))
                    _out.append('\n')
    if pod.tolerations:
        _out.append('  tolerations:\n')
        for t in pod.tolerations:
            _out.append('    - key: ')
            _out.append(scalar(t.key))
            _out.append('\n')
            if (t.value is None):
                _out.append('      operator: Exists\n')
            else:
                _out.append('      operator: Equal\n      value: ')
                _out.append(scalar(t.value))
                _out.append('\n')
            _out.append('      effect: NoSchedule\n')
    _out.append('  securityContext:\n    runAsNonRoot: true\n    runAsUser: ')
    _out.append(str(pod.user))
    _out.append('\n    runAsGroup: ')
    _out.append(str(pod.user))
    _out.append('\n    fsGroup: ')
    _out.append(str(pod.user))
    _out.append('\n    fsGroupChangePolicy: OnRootMismatch\n    seccompProfile:\n      type: RuntimeDefault\n')
    if pod.init:
        _out.append('  initContainers:\n')
        for c in pod.init:
            _out.append('    ')
            _out.append(indented(_pod_container(c).strip(), 4))
            _out.append('\n')
    _out.append('  containers:\n')
    for c in pod.containers:
        _out.append('    ')
        _out.append(indented(_pod_container(c).strip(), 4))
        _out.append('\n')
    if pod.volumes:
        _out.append('  volumes:\n')
        for v in pod.volumes:
            _out.append('    ')
            _out.append(indented(_pod_volume(v).strip(), 4))
            _out.append('\n')
    return "".join(_out)


def _behavior_behavior(b: Any) -> str:
    _out: list[str] = []
    _out.append('scaleUp:\n  # ')
    _out.append(comment(b.up_window_why))
    _out.append('\n  stabilizationWindowSeconds: ')
    _out.append(str(b.up_window_s))
    _out.append('\n  policies:\n    - type: Pods\n      # ')
    _out.append(comment(b.up_step_why))
    _out.append('\n      value: ')
    _out.append(str(b.up_step))
    _out.append('\n      # ')
    _out.append(comment(b.up_period_why))
    _out.append('\n      periodSeconds: ')
    _out.append(str(b.up_period_s))
    _out.append('\nscaleDown:\n  # ')
    _out.append(comment(b.down_window_why))
    _out.append('\n  stabilizationWindowSeconds: ')
    _out.append(str(b.down_window_s))
    _out.append('\n  policies:\n    - type: Pods\n      # ')
    _out.append(comment(b.down_step_why))
    _out.append('\n      value: ')
    _out.append(str(b.down_step))
    _out.append('\n      periodSeconds: ')
    _out.append(str(b.down_period_s))
    _out.append('\n')
    return "".join(_out)


def _aksnodeclass(v: Any) -> str:
    _out: list[str] = []
    _out.append('apiVersion: karpenter.azure.com/v1beta1\nkind: AKSNodeClass\n')
    _out.append(_meta_metadata(v.meta))
    _out.append('spec:\n  imageFamily: Ubuntu\n  # ')
    _out.append(comment(v.disk_why))
    _out.append('\n  osDiskSizeGB: ')
    _out.append(str(v.disk_gb))
    _out.append('\n')
    return "".join(_out)


def _computeclass(v: Any) -> str:
    _out: list[str] = []
    _out.append('apiVersion: cloud.google.com/v1\nkind: ComputeClass\n')
    _out.append(_meta_metadata(v.meta))
    _out.append('spec:\n  nodePoolAutoCreation:\n    enabled: true\n  # no node at all rather than one without GPUs\n  whenUnsatisfiable: DoNotScaleUp\n  nodePoolConfig:\n    imageType: cos_containerd\n    nodeLabels:\n      ')
    _out.append(indented(_meta_labels(v.node_labels).strip(), 6))
    _out.append('\n  # in this order: the next one where the one before it is not to be had\n  priorities:\n')
    for p in v.priorities:
        _out.append('    # ')
        _out.append(comment(p.why))
        _out.append('\n    - machineType: ')
        _out.append(scalar(p.machine_type))
        _out.append('\n      gpu:\n        type: ')
        _out.append(str(p.accelerator))
        _out.append('\n        count: ')
        _out.append(str(p.gpus))
        _out.append('\n        driverVersion: latest\n')
        if v.spot:
            _out.append('      spot: true\n')
        _out.append('      storage:\n        bootDiskSize: ')
        _out.append(str(p.disk_gb))
        _out.append('\n')
        if v.zones:
            _out.append('      location:\n        zones:\n')
            for zone in v.zones:
                _out.append('          - ')
                _out.append(scalar(zone))
                _out.append('\n')
        if p.reservation:
            _out.append('      reservations:\n        affinity: Specific\n        specific:\n          - name: ')
            _out.append(scalar(p.reservation))
            _out.append('\n')
    return "".join(_out)


def _configmap(v: Any) -> str:
    _out: list[str] = []
    _out.append('apiVersion: v1\nkind: ConfigMap\n')
    _out.append(_meta_metadata(v.meta))
    _out.append('data:\n')
    for key, text in v.files:
        _out.append('  ')
        _out.append(scalar(key))
        _out.append(': ')
        _out.append(block(text, 4))
        _out.append('\n')
    return "".join(_out)


def _deployment(v: Any) -> str:
    _out: list[str] = []
    _out.append('apiVersion: apps/v1\nkind: Deployment\n')
    _out.append(_meta_metadata(v.meta))
    _out.append('spec:\n  # ')
    _out.append(comment(v.replicas_why))
    _out.append('\n')
    if (not (v.replicas is None)):
        _out.append('  replicas: ')
        _out.append(str(v.replicas))
        _out.append('\n')
    _out.append('  # ')
    _out.append(comment(v.progress_why))
    _out.append('\n  progressDeadlineSeconds: ')
    _out.append(str(v.progress_s))
    _out.append('\n  selector:\n    matchLabels:\n      ')
    _out.append(indented(_meta_labels(v.selector).strip(), 6))
    _out.append('\n  strategy:\n    type: RollingUpdate\n    rollingUpdate:\n      # GPU pools rarely have room for one more: the old pod goes before the new one comes\n      maxSurge: 0\n      maxUnavailable: 1\n  template:\n    ')
    _out.append(indented(_pod_template(v.pod).strip(), 4))
    _out.append('\n')
    return "".join(_out)


def _ec2nodeclass(v: Any) -> str:
    _out: list[str] = []
    _out.append('apiVersion: karpenter.k8s.aws/v1\nkind: EC2NodeClass\n')
    _out.append(_meta_metadata(v.meta))
    _out.append('spec:\n  # Amazon Linux 2023; Karpenter takes its NVIDIA image, driver included, for these instance types. A release of its own:\n  # with al2023@latest Karpenter replaces running nodes whenever Amazon publishes one\n  amiSelectorTerms:\n    # ')
    _out.append(comment(v.image_why))
    _out.append('\n    - alias: ')
    _out.append(scalar(v.image))
    _out.append('\n  # ')
    _out.append(comment(v.role_why))
    _out.append('\n  role: ')
    _out.append(scalar(v.role))
    _out.append('\n  subnetSelectorTerms:\n    - tags:\n        karpenter.sh/discovery: ')
    _out.append(scalar(v.cluster))
    _out.append('\n  securityGroupSelectorTerms:\n    - tags:\n        karpenter.sh/discovery: ')
    _out.append(scalar(v.cluster))
    _out.append('\n')
    if v.reservation:
        _out.append('  capacityReservationSelectorTerms:\n    - id: ')
        _out.append(scalar(v.reservation))
        _out.append('\n')
    _out.append('  blockDeviceMappings:\n    - deviceName: /dev/xvda\n      rootVolume: true\n      ebs:\n        # ')
    _out.append(comment(v.disk_why))
    _out.append('\n        volumeSize: ')
    _out.append(str(v.disk_gib))
    _out.append("Gi\n        volumeType: gp3\n        encrypted: true\n        deleteOnTermination: true\n  metadataOptions:\n    # pods have no business with the node's own credentials\n    httpTokens: required\n    httpPutResponseHopLimit: 1\n")
    return "".join(_out)


def _horizontalpodautoscaler(v: Any) -> str:
    _out: list[str] = []
    _out.append('apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\n')
    _out.append(_meta_metadata(v.meta))
    _out.append('spec:\n  scaleTargetRef:\n    apiVersion: ')
    _out.append(scalar(v.target_api))
    _out.append('\n    kind: ')
    _out.append(str(v.target_kind))
    _out.append('\n    name: ')
    _out.append(scalar(v.target))
    _out.append('\n  # ')
    _out.append(comment(v.replicas_why))
    _out.append('\n  minReplicas: ')
    _out.append(str(v.least))
    _out.append('\n  maxReplicas: ')
    _out.append(str(v.most))
    _out.append('\n  behavior:\n    ')
    _out.append(indented(_behavior_behavior(v.behavior).strip(), 4))
    _out.append('\n  metrics:\n')
    for m in v.metrics:
        _out.append('    - type: Pods\n      pods:\n        metric:\n          # ')
        _out.append(comment(m.why))
        _out.append('\n          name: ')
        _out.append(scalar(m.name))
        _out.append('\n        target:\n          type: AverageValue\n          # ')
        _out.append(comment(m.target_why))
        _out.append('\n          averageValue: ')
        _out.append(scalar(m.target))
        _out.append('\n')
    return "".join(_out)


def _httproute(v: Any) -> str:
    _out: list[str] = []
    for note in v.notes:
        _out.append('# ')
        _out.append(comment(note))
        _out.append('\n')
    _out.append('apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n')
    _out.append(_meta_metadata(v.meta))
    _out.append('spec:\n  parentRefs:\n    - name: ')
    _out.append(scalar(v.gateway))
    _out.append('\n')
    if (not (v.gateway_namespace is None)):
        _out.append('      namespace: ')
        _out.append(scalar(v.gateway_namespace))
        _out.append('\n')
    if (not (v.host is None)):
        _out.append('  hostnames:\n    - ')
        _out.append(scalar(v.host))
        _out.append('\n')
    _out.append('  rules:\n    # the API only: what else the server answers (metrics, its own state) stays inside\n    - matches:\n        - path:\n            type: PathPrefix\n            value: /v1\n      backendRefs:\n        - name: ')
    _out.append(scalar(v.service))
    _out.append('\n          port: 80\n')
    return "".join(_out)


def _ingress(v: Any) -> str:
    _out: list[str] = []
    for note in v.notes:
        _out.append('# ')
        _out.append(comment(note))
        _out.append('\n')
    _out.append('apiVersion: networking.k8s.io/v1\nkind: Ingress\n')
    _out.append(_meta_metadata(v.meta, v.annotations))
    _out.append('spec:\n')
    if (not (v.class_name is None)):
        _out.append('  ingressClassName: ')
        _out.append(scalar(v.class_name))
        _out.append('\n')
    if (not (v.tls_secret is None)):
        _out.append('  tls:\n    - secretName: ')
        _out.append(scalar(v.tls_secret))
        _out.append('\n')
        if (not (v.host is None)):
            _out.append('      hosts:\n        - ')
            _out.append(scalar(v.host))
            _out.append('\n')
    _out.append('  rules:\n')
    if (not (v.host is None)):
        _out.append('    - host: ')
        _out.append(scalar(v.host))
        _out.append('\n      http:\n')
    else:
        _out.append('    - http:\n')
    _out.append('        paths:\n          # the API only: what else the server answers (metrics, its own state) stays inside\n          - path: /v1\n            pathType: Prefix\n            backend:\n              service:\n                name: ')
    _out.append(scalar(v.service))
    _out.append('\n                port:\n                  name: http\n')
    return "".join(_out)


def _job(v: Any) -> str:
    _out: list[str] = []
    _out.append('# ')
    _out.append(comment(v.why))
    _out.append('\napiVersion: batch/v1\nkind: Job\n')
    _out.append(_meta_metadata(v.meta))
    _out.append('spec:\n  template:\n    ')
    _out.append(indented(_pod_template(v.pod).strip(), 4))
    _out.append('\n')
    return "".join(_out)


def _leaderworkerset(v: Any) -> str:
    _out: list[str] = []
    _out.append('apiVersion: leaderworkerset.x-k8s.io/v1\nkind: LeaderWorkerSet\n')
    _out.append(_meta_metadata(v.meta))
    _out.append('spec:\n  # ')
    _out.append(comment(v.replicas_why))
    _out.append('\n')
    if (not (v.replicas is None)):
        _out.append('  replicas: ')
        _out.append(str(v.replicas))
        _out.append('\n')
    _out.append('  # the leader is ready only when all nodes have joined: it must not be waited for\n  startupPolicy: LeaderCreated\n  rolloutStrategy:\n    type: RollingUpdate\n    rollingUpdateConfiguration:\n      # GPU pools rarely have room for one more: the old replica goes before the new one comes\n      maxSurge: 0\n      maxUnavailable: 1\n  leaderWorkerTemplate:\n    # ')
    _out.append(comment(v.size_why))
    _out.append('\n    size: ')
    _out.append(str(v.size))
    _out.append('\n    # one node lost is the replica lost\n    restartPolicy: RecreateGroupOnPodRestart\n    leaderTemplate:\n      ')
    _out.append(indented(_pod_template(v.pod).strip(), 6))
    _out.append('\n    workerTemplate:\n      ')
    _out.append(indented(_pod_template(v.worker).strip(), 6))
    _out.append('\n')
    return "".join(_out)


def _namespace(v: Any) -> str:
    _out: list[str] = []
    _out.append('apiVersion: v1\nkind: Namespace\n')
    _out.append(_meta_metadata(v.meta))
    return "".join(_out)


def _networkpolicy_rule(r: Any, side: Any) -> str:
    _out: list[str] = []
    _out.append('# ')
    _out.append(comment(r.why))
    _out.append('\n')
    peers = ((((r.any_namespace or r.same_namespace) or (not (r.namespace is None))) or (not (r.pods is None))) or r.blocks)
    if peers:
        _out.append('- ')
        _out.append(str(side))
        _out.append(':\n')
        if r.any_namespace:
            _out.append('    - namespaceSelector: {}\n')
        if r.same_namespace:
            _out.append('    - podSelector: {}\n')
        if (not (r.namespace is None)):
            _out.append('    - namespaceSelector:\n        matchLabels:\n          kubernetes.io/metadata.name: ')
            _out.append(scalar(r.namespace))
            _out.append('\n')
        if (not (r.pods is None)):
            _out.append('    - podSelector:\n        matchLabels:\n          ')
            _out.append(indented(_meta_labels(r.pods).strip(), 10))
            _out.append('\n')
        for block in r.blocks:
            _out.append('    - ipBlock:\n        cidr: ')
            _out.append(scalar(block))
            _out.append('\n')
    if r.ports:
        _out.append(str(('  ' if peers else '- ')))
        _out.append('ports:\n')
        for protocol, port in r.ports:
            _out.append('    - protocol: ')
            _out.append(str(protocol))
            _out.append('\n      port: ')
            _out.append(scalar(port))
            _out.append('\n')
    return "".join(_out)


def _networkpolicy(v: Any) -> str:
    _out: list[str] = []
    _out.append('apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n')
    _out.append(_meta_metadata(v.meta))
    _out.append('spec:\n  podSelector:\n    matchLabels:\n      ')
    _out.append(indented(_meta_labels(v.selector).strip(), 6))
    _out.append('\n  policyTypes:\n')
    if (not (v.no_ingress_why is None)):
        _out.append('    # ')
        _out.append(comment(v.no_ingress_why))
        _out.append('\n')
    _out.append('    - Ingress\n    - Egress\n')
    if v.ingress:
        _out.append('  ingress:\n')
        for r in v.ingress:
            _out.append('    ')
            _out.append(indented(_networkpolicy_rule(r, 'from').strip(), 4))
            _out.append('\n')
    _out.append('  egress:\n')
    for r in v.egress:
        _out.append('    ')
        _out.append(indented(_networkpolicy_rule(r, 'to').strip(), 4))
        _out.append('\n')
    return "".join(_out)


def _nodepool(v: Any) -> str:
    _out: list[str] = []
    _out.append('apiVersion: karpenter.sh/v1\nkind: NodePool\n')
    _out.append(_meta_metadata(v.meta))
    _out.append('spec:\n  # ')
    _out.append(comment(v.limits_why))
    _out.append('\n  limits:\n    ')
    _out.append(scalar(v.resource))
    _out.append(': ')
    _out.append(str(v.most_gpus))
    _out.append('\n  disruption:\n    # a replica loads for minutes: only nodes that nobody uses are taken away\n    consolidationPolicy: WhenEmpty\n    # ')
    _out.append(comment(v.idle_why))
    _out.append('\n    consolidateAfter: ')
    _out.append(str(v.idle_s))
    _out.append('s\n  template:\n    metadata:\n      labels:\n        ')
    _out.append(indented(_meta_labels(v.node_labels).strip(), 8))
    _out.append('\n    spec:\n      nodeClassRef:\n        group: ')
    _out.append(str(v.class_group))
    _out.append('\n        kind: ')
    _out.append(str(v.class_kind))
    _out.append('\n        name: ')
    _out.append(scalar(v.meta.name))
    _out.append('\n      # else Karpenter takes every node away after 30 days, whoever is on it; a changed class still replaces nodes\n      expireAfter: Never\n      # only pods that ask for GPUs land here\n      taints:\n        - key: ')
    _out.append(scalar(v.resource))
    _out.append('\n          value: "true"\n          effect: NoSchedule\n      requirements:\n')
    for r in v.requirements:
        if r.why:
            _out.append('        # ')
            _out.append(comment(r.why))
            _out.append('\n')
        _out.append('        - key: ')
        _out.append(scalar(r.key))
        _out.append('\n          operator: In\n          values:\n')
        for value in r.values:
            _out.append('            - ')
            _out.append(scalar(value))
            _out.append('\n')
    return "".join(_out)


def _persistentvolume(v: Any) -> str:
    _out: list[str] = []
    _out.append('apiVersion: v1\nkind: PersistentVolume\n')
    _out.append(_meta_metadata(v.meta))
    _out.append('spec:\n  capacity:\n    # ')
    _out.append(comment(v.size_why))
    _out.append('\n    storage: ')
    _out.append(str(v.size_gib))
    _out.append('Gi\n  accessModes:\n    - ReadOnlyMany\n  persistentVolumeReclaimPolicy: Retain\n  storageClassName: ""\n  # reserved: no other claim may bind it\n  claimRef:\n    apiVersion: v1\n    kind: PersistentVolumeClaim\n    name: ')
    _out.append(scalar(v.claim))
    _out.append('\n    namespace: ')
    _out.append(scalar(v.claim_namespace))
    _out.append('\n  # pods of the restricted profile may not mount hostPath, so the folder is a local volume of its nodes\n  local:\n    path: ')
    _out.append(scalar(v.path))
    _out.append('\n  nodeAffinity:\n    required:\n      nodeSelectorTerms:\n        - matchExpressions:\n            - key: kubernetes.io/hostname\n              operator: In\n              values:\n')
    for node in v.nodes:
        _out.append('                - ')
        _out.append(scalar(node))
        _out.append('\n')
    return "".join(_out)


def _persistentvolumeclaim(v: Any) -> str:
    _out: list[str] = []
    _out.append('apiVersion: v1\nkind: PersistentVolumeClaim\n')
    _out.append(_meta_metadata(v.meta))
    _out.append('spec:\n  # ')
    _out.append(comment(v.access_why))
    _out.append('\n  accessModes:\n    - ')
    _out.append(str(v.access))
    _out.append('\n')
    if (not (v.storage_class is None)):
        _out.append('  storageClassName: ')
        _out.append(scalar(v.storage_class))
        _out.append('\n')
    if (not (v.volume is None)):
        _out.append('  volumeName: ')
        _out.append(scalar(v.volume))
        _out.append('\n')
    _out.append('  resources:\n    requests:\n      # ')
    _out.append(comment(v.size_why))
    _out.append('\n      storage: ')
    _out.append(str(v.size_gib))
    _out.append('Gi\n')
    return "".join(_out)


def _poddisruptionbudget(v: Any) -> str:
    _out: list[str] = []
    _out.append('apiVersion: policy/v1\nkind: PodDisruptionBudget\n')
    _out.append(_meta_metadata(v.meta))
    _out.append('spec:\n  # ')
    _out.append(comment(v.why))
    _out.append('\n  maxUnavailable: 1\n  selector:\n    matchLabels:\n      ')
    _out.append(indented(_meta_labels(v.selector).strip(), 6))
    _out.append('\n')
    return "".join(_out)


def _podmonitor(v: Any) -> str:
    _out: list[str] = []
    _out.append('apiVersion: monitoring.coreos.com/v1\nkind: PodMonitor\n')
    _out.append(_meta_metadata(v.meta))
    _out.append('spec:\n  selector:\n    matchLabels:\n      ')
    _out.append(indented(_meta_labels(v.selector).strip(), 6))
    _out.append('\n  podMetricsEndpoints:\n    - port: http\n      path: ')
    _out.append(scalar(v.path))
    _out.append("\n      # the autoscaler can't react sooner than the metrics come\n      interval: ")
    _out.append(str(v.interval))
    _out.append('\n')
    return "".join(_out)


def _scaledobject(v: Any) -> str:
    _out: list[str] = []
    _out.append('apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\n')
    _out.append(_meta_metadata(v.meta))
    _out.append('spec:\n  scaleTargetRef:\n    apiVersion: ')
    _out.append(scalar(v.target_api))
    _out.append('\n    kind: ')
    _out.append(str(v.target_kind))
    _out.append('\n    name: ')
    _out.append(scalar(v.target))
    _out.append('\n  # ')
    _out.append(comment(v.replicas_why))
    _out.append('\n  minReplicaCount: ')
    _out.append(str(v.least))
    _out.append('\n  maxReplicaCount: ')
    _out.append(str(v.most))
    _out.append('\n')
    if (not (v.polling_s is None)):
        _out.append('  # ')
        _out.append(comment(v.polling_why))
        _out.append('\n  pollingInterval: ')
        _out.append(str(v.polling_s))
        _out.append('\n')
    if (not (v.cooldown_s is None)):
        _out.append('  # ')
        _out.append(comment(v.cooldown_why))
        _out.append('\n  cooldownPeriod: ')
        _out.append(str(v.cooldown_s))
        _out.append('\n')
    _out.append('  # where Prometheus cannot be asked\n  fallback:\n    # ')
    _out.append(comment(v.failures_why))
    _out.append('\n    failureThreshold: ')
    _out.append(str(v.failures))
    _out.append('\n    # ')
    _out.append(comment(v.fallback_why))
    _out.append('\n    replicas: ')
    _out.append(str(v.fallback))
    _out.append('\n    behavior: currentReplicasIfHigher\n  advanced:\n    horizontalPodAutoscalerConfig:\n      behavior:\n        ')
    _out.append(indented(_behavior_behavior(v.behavior).strip(), 8))
    _out.append('\n  triggers:\n')
    for t in v.triggers:
        _out.append('    - type: prometheus\n      name: ')
        _out.append(scalar(t.name))
        _out.append("\n      # per replica: the HPA divides the query's value by the threshold\n      metricType: AverageValue\n      metadata:\n        serverAddress: ")
        _out.append(scalar(v.server))
        _out.append('\n        # ')
        _out.append(comment(t.query_why))
        _out.append('\n        query: ')
        _out.append(scalar(t.query))
        _out.append('\n        # ')
        _out.append(comment(t.threshold_why))
        _out.append('\n        threshold: ')
        _out.append(scalar(t.threshold))
        _out.append('\n')
        if (not (t.activation is None)):
            _out.append('        # never what keeps the last replica: what fills a cache is in flight, which the load counts\n        activationThreshold: ')
            _out.append(scalar(t.activation))
            _out.append('\n')
    return "".join(_out)


def _service(v: Any) -> str:
    _out: list[str] = []
    _out.append('# ')
    _out.append(comment(v.why))
    _out.append('\napiVersion: v1\nkind: Service\n')
    _out.append(_meta_metadata(v.meta, v.annotations))
    _out.append('spec:\n')
    if (not (v.type is None)):
        _out.append('  type: ')
        _out.append(str(v.type))
        _out.append('\n')
    _out.append('  selector:\n    ')
    _out.append(indented(_meta_labels(v.selector).strip(), 4))
    _out.append('\n  ports:\n    - name: http\n      port: 80\n      targetPort: http\n')
    return "".join(_out)


def _serviceaccount(v: Any) -> str:
    _out: list[str] = []
    _out.append('apiVersion: v1\nkind: ServiceAccount\n')
    _out.append(_meta_metadata(v.meta))
    _out.append('automountServiceAccountToken: false\n')
    return "".join(_out)


TEMPLATES: dict[str, Callable[[Any], str]] = {
    "aksnodeclass": _aksnodeclass,
    "computeclass": _computeclass,
    "configmap": _configmap,
    "deployment": _deployment,
    "ec2nodeclass": _ec2nodeclass,
    "horizontalpodautoscaler": _horizontalpodautoscaler,
    "httproute": _httproute,
    "ingress": _ingress,
    "job": _job,
    "leaderworkerset": _leaderworkerset,
    "namespace": _namespace,
    "networkpolicy": _networkpolicy,
    "nodepool": _nodepool,
    "persistentvolume": _persistentvolume,
    "persistentvolumeclaim": _persistentvolumeclaim,
    "poddisruptionbudget": _poddisruptionbudget,
    "podmonitor": _podmonitor,
    "scaledobject": _scaledobject,
    "service": _service,
    "serviceaccount": _serviceaccount,
}
