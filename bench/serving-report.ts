/** The output of `npm run bench-serving -- --json`. */

export interface ServingReport {
  /** YYYY-MM-DD. */
  readonly date: string;
  readonly processor: string;
  readonly cores: number;
  readonly node: string;
  readonly connections: number;
  /** Per round. */
  readonly requests: number;
  readonly rounds: number;
  readonly servers: readonly {
    readonly name: string;
    readonly median: ServingRound;
    readonly rounds: readonly ServingRound[];
  }[];
}

/** The results of one server in one round. */
export interface ServingRound {
  readonly requestsPerSecond: number;
  /** User and system time of the server's process, per request. */
  readonly cpuMilliseconds: number;
  /** Milliseconds from request to answer, as the client measures them. */
  readonly p50: number;
  readonly p99: number;
  /** The 99th percentile of the event loop's delay, in milliseconds. */
  readonly eventLoopLateP99: number;
  readonly residentMegabytes: number;
  /** The number of answers other than 200. */
  readonly refused: number;
}
