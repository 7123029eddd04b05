rule split:
    input:
        expand("results/split/{task}/{name}.json", task=TASKS, name=["dev", "test"]),


rule split_mad:
    input:
        expand("results/split/{task}/manifest.json", task=MAD_TASKS),


rule split_task:
    input:
        data="results/download/{task}/manifest.json",
        code=sources("split"),
    output:
        dev="results/split/{task}/dev.json",
        test="results/split/{task}/test.json",
        record="results/split/{task}.run.json",
    log:
        "logs/split/{task}.log",
    benchmark:
        "logs/benchmarks/split/{task}.tsv"
    # a second each, and VLKD waits for all
    priority: 1
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=scaled(600, 4000),
        runtime=scaled(10, 30),
    params:
        read=lambda wildcards: narrow("split.seed", f"split.{wildcards.task}"),
    shell:
        "vldistill split {wildcards.task} > {log} 2>&1"


rule split_mad_task:
    input:
        data=task_data,
        code=sources("split"),
    output:
        manifest="results/split/{task}/manifest.json",
        record="results/split/{task}.run.json",
    log:
        "logs/split/{task}.log",
    benchmark:
        "logs/benchmarks/split/{task}.tsv"
    wildcard_constraints:
        task="|".join(MAD_TASKS),
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=scaled(1000, 16000),
        runtime=scaled(10, 120),
    params:
        read=narrow("split.seed", "split.mad"),
    shell:
        "vldistill split {wildcards.task} > {log} 2>&1"
