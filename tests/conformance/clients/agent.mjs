// Runs one scenario with one of the official JavaScript agents and prints what it saw as one JSON object.
//
//   node agent.mjs SCENARIO '{"library": NAME, "host": URL, "rootKey": hex, "canister": id, ...}'
//
// Scenarios judge nothing: a failure of the agent is part of what is printed, and the test decides what it means.
const libraries = {
  '@icp-sdk/core': ['agent', 'identity', 'identity/secp256k1', 'principal'].map((name) => `@icp-sdk/core/${name}`),
  '@dfinity/agent': ['agent', 'identity', 'identity-secp256k1', 'principal'].map((name) => `@dfinity/${name}`),
};
const config = JSON.parse(process.argv[3]);
const parts = await Promise.all(libraries[config.library].map((name) => import(name)));
const { Actor, CanisterStatus, Certificate, HttpAgent, SubnetStatus, lookupResultToBuffer } = parts[0];
const { DelegationChain, DelegationIdentity, ECDSAKeyIdentity, Ed25519KeyIdentity } = parts[1];
const { Secp256k1KeyIdentity } = parts[2];
const { Principal } = parts[3];
const hex = (bytes) => Buffer.from(bytes).toString('hex');
const unhex = (text) => Uint8Array.from(Buffer.from(text, 'hex'));

const identities = {
  anonymous: () => undefined,
  ed25519: () => Ed25519KeyIdentity.generate(),
  secp256k1: () => Secp256k1KeyIdentity.generate(),
  p256: () => ECDSAKeyIdentity.generate(),
};

async function agentOf(identity, options = {}) {
  const { host, rootKey } = config;
  return HttpAgent.create({ host, rootKey: unhex(rootKey), identity, retryTimes: 0, ...options });
}

// The part of the backend's interface that is used here.
const backend = ({ IDL }) => {
  const user = IDL.Record({
    principal_id: IDL.Principal,
    registered_at: IDL.Nat64,
    last_activity_at: IDL.Nat64,
    bound: IDL.Bool,
  });
  const refusal = IDL.Variant({ Unauthorized: IDL.Text, NotFound: IDL.Record({ kind: IDL.Text, id: IDL.Text }) });
  return IDL.Service({
    register: IDL.Func([], [IDL.Variant({ Ok: user, Err: refusal })], []),
    whoami: IDL.Func([], [IDL.Principal], ['query']),
    get_user: IDL.Func([], [IDL.Opt(user)], ['query']),
    no_such_update: IDL.Func([], [], []),
    no_such_query: IDL.Func([], [], ['query']),
  });
};

const bytes = ({ IDL }) => {
  const blob = IDL.Vec(IDL.Nat8);
  return IDL.Service({ set: IDL.Func([blob], [blob], []), echo: IDL.Func([blob], [blob], ['query']) });
};

async function actorOf(agent, service = backend, canister = config.canister) {
  return Actor.createActor(service, { agent, canisterId: canister });
}

// An error of the agent: its kind, its code's class, and what a certified or uncertified reject says.
async function attempt(work) {
  try {
    return { value: await work() };
  } catch (error) {
    const { rejectCode, rejectMessage, rejectErrorCode } = error.code ?? {};
    return {
      error: { kind: error.kind ?? error.name, code: error.code?.name, rejectCode, rejectMessage, rejectErrorCode },
      message: error.message,
    };
  }
}

const scenarios = {
  async calls() {
    const identity = await identities[config.identity]();
    const agent = await agentOf(identity);
    const actor = await actorOf(agent);
    return {
      principal: await agent.getPrincipal(),
      registered: await attempt(() => actor.register()),
      whoami: await attempt(() => actor.whoami()),
      user: await attempt(() => actor.get_user()),
    };
  },

  async rejects() {
    const agent = await agentOf(Ed25519KeyIdentity.generate());
    const actor = await actorOf(agent);
    const untyped = ({ IDL }) =>
      IDL.Service({
        trap: IDL.Func([], [], []),
        refuse: IDL.Func([], [], []),
        refuse_query: IDL.Func([], [], ['query']),
      });
    const wire = await actorOf(agent, untyped, config.wire);
    return {
      update: await attempt(() => actor.no_such_update()),
      query: await attempt(() => actor.no_such_query()),
      trap: await attempt(() => wire.trap()),
      refuse: await attempt(() => wire.refuse()),
      refusedQuery: await attempt(() => wire.refuse_query()),
      nobody: await attempt(async () => (await actorOf(agent, backend, config.nobody)).whoami()),
    };
  },

  async polling() {
    const agent = await agentOf(Ed25519KeyIdentity.generate());
    const { certificate, reply } = await set(agent, { callSync: false });
    return { reply: hex(reply), verified: certificate instanceof Certificate };
  },

  async messages() {
    const wire = await actorOf(await agentOf(Ed25519KeyIdentity.generate()), bytes, config.wire);
    return {
      update: await attempt(async () => hex(await wire.set(unhex(config.arg)))),
      query: await attempt(async () => hex(await wire.echo(unhex(config.arg)))),
    };
  },

  async canister() {
    const agent = await agentOf();
    const canisterId = Principal.fromText(config.canister);
    return Object.fromEntries(await CanisterStatus.request({ agent, canisterId, paths: ['controllers', 'module_hash'] }));
  },

  async status() {
    const agent = await agentOf();
    const paths = ['time', 'controllers', 'module_hash', 'candid', 'subnet'];
    const canister = await CanisterStatus.request({ agent, canisterId: Principal.fromText(config.canister), paths });
    const subnetId = await agent.getSubnetIdFromCanister(config.canister);
    const subnet = await SubnetStatus.request({ agent, subnetId, paths: ['time', 'publicKey', 'nodeKeys'] });
    // The agent's own path for ranges is that of the root subnet; all others have them in shards.
    const shards = [new TextEncoder().encode('canister_ranges'), subnetId.toUint8Array()];
    const { verifiedCertificate } = await agent.readState({ subnetId }, { paths: [shards] });
    return {
      time: canister.get('time'),
      controllers: canister.get('controllers'),
      moduleHash: canister.get('module_hash'),
      candid: canister.get('candid'),
      subnetId: canister.get('subnet').subnetId,
      nodes: [...canister.get('subnet').nodeKeys.keys()],
      subnet: {
        id: subnetId,
        time: subnet.get('time'),
        ranges: verifiedCertificate.lookup_subtree(shards).status,
        publicKey: hex(subnet.get('publicKey')),
        nodes: [...subnet.get('nodeKeys').keys()],
      },
    };
  },

  async absent() {
    const agent = await agentOf();
    const canisterId = Principal.fromText(config.nobody);
    const found = await CanisterStatus.request({ agent, canisterId, paths: ['module_hash', 'candid', 'controllers'] });
    return Object.fromEntries(found);
  },

  async delegation() {
    const root = Ed25519KeyIdentity.generate();
    const session = await ECDSAKeyIdentity.generate();
    const signed = (minutes, options) =>
      DelegationChain.create(root, session.getPublicKey(), new Date(Date.now() + minutes * 60_000), options);
    const as = async (chain, canister) =>
      actorOf(await agentOf(DelegationIdentity.fromDelegation(session, chain)), backend, canister);
    const targets = [Principal.fromText(config.canister)];
    const limited = await signed(10, { targets });
    return {
      principal: root.getPrincipal(),
      update: await attempt(async () => (await as(limited)).register()),
      query: await attempt(async () => (await as(limited)).whoami()),
      elsewhere: await attempt(async () => (await as(limited, config.wire)).whoami()),
      updateElsewhere: await attempt(async () => (await as(limited, config.wire)).register()),
      expired: await attempt(async () => (await as(await signed(-10, { targets }))).register()),
    };
  },

  async certifiedData() {
    const agent = await agentOf(Ed25519KeyIdentity.generate());
    await set(agent);
    const canisterId = Principal.fromText(config.wire);
    const answer = await agent.query(config.wire, { methodName: 'certificate', arg: new Uint8Array() });
    const certificate = await Certificate.create({
      certificate: answer.reply.arg,
      rootKey: unhex(config.rootKey),
      principal: { canisterId },
    });
    const path = ['canister', canisterId.toUint8Array(), 'certified_data'];
    return { data: hex(lookupResultToBuffer(certificate.lookup_path(path))) };
  },

  async clockAhead() {
    const Present = Date;
    globalThis.Date = class extends Present {
      constructor(...given) {
        super(...(given.length ? given : [Present.now() + config.minutes * 60_000]));
      }
      static now() {
        return Present.now() + config.minutes * 60_000;
      }
    };
    const agent = await agentOf(Ed25519KeyIdentity.generate());
    return { update: await attempt(async () => (await actorOf(agent)).register()), synced: agent.hasSyncedTime() };
  },

  async fetchedRootKey() {
    const agent = await HttpAgent.create({ host: config.host, shouldFetchRootKey: true });
    return { rootKey: hex(agent.rootKey), status: Object.keys(await agent.status()) };
  },
};

// The tests' small canister takes and gives bytes as they are.
const set = (agent, options) => agent.update(config.wire, { methodName: 'set', arg: unhex(config.arg), ...options });

function plain(_, value) {
  if (typeof value === 'bigint') return value.toString();
  return value instanceof Uint8Array ? hex(value) : value;
}

Principal.prototype.toJSON = function () {
  return this.toText();
};
console.log(JSON.stringify(await scenarios[process.argv[2]](), plain));
