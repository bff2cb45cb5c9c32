/** What `npm run bench-serving -- --json` writes. */

export interface ServingReport {
  /** Year-month-day. */
  readonly date: string;
  readonly processor: string;
  readonly cores: number;
  readonly node: string;
  readonly connections: number;
  /** In each round. */
  readonly requests: number;
  readonly rounds: number;
  readonly servers: readonly {
    readonly name: string;
    readonly median: ServingRound;
    readonly rounds: readonly ServingRound[];
  }[];
}

/** What one server did in one round. */
export interface ServingRound {
  readonly requestsPerSecond: number;
  /** Of the server's process, user and system, a request. */
  readonly cpuMilliseconds: number;
  /** Milliseconds from request to answer, as the client sees it. */
  readonly p50: number;
  readonly p99: number;
  /** 99% of the turns of its event loop were no later, in milliseconds. */
  readonly eventLoopLateP99: number;
  readonly residentMegabytes: number;
  /** Answers other than 200. */
  readonly refused: number;
}
