# What the tree says about its agents. Nothing here names one: an agent is a directory with a
# program, and what can be enabled of it are its units with an [Install] section.
{ lib }:

let
  units = ../units;
  files = builtins.attrNames (builtins.readDir units);
  text = unit: builtins.readFile (units + "/${unit}");
  has = needle: unit: builtins.length (builtins.split needle (text unit)) > 1;
  # The part of a unit file's line `KEY=value` behind the sign, of the first such line.
  value =
    key: unit:
    let
      parts = builtins.split "\n${key}=([^\n]*)" (text unit);
    in
    if builtins.length parts > 1 then builtins.head (builtins.elemAt parts 1) else null;

  names = builtins.filter (
    name: name != "ctl" && builtins.pathExists (../agents + "/${name}/src/main.rs")
  ) (builtins.attrNames (builtins.readDir ../agents));

  describe =
    name:
    let
      own = builtins.filter (
        unit:
        builtins.elem unit [
          "roundsman-${name}.service"
          "roundsman-${name}.socket"
          "roundsman-${name}.timer"
          "roundsman-${name}.path"
        ]
      ) files;
      service = "roundsman-${name}.service";
      template = "roundsman-${name}@.service";
      socket = "roundsman-${name}.socket";
      port = if builtins.elem socket files then value "ListenStream" socket else null;
    in
    {
      # Units that `enable` turns on.
      installed = builtins.filter (has "\n\\[Install]") own;
      # Services that a changed configuration reloads.
      reloaded = builtins.filter (unit: unit == service && has "\nExecReload=" unit) own;
      # Services that get the agent's credentials and PATH.
      services = builtins.filter (unit: builtins.elem unit files) [
        service
        template
      ];
      port = if port != null && builtins.match "[0-9]+" port != null then lib.toInt port else null;
    };
in
lib.genAttrs names describe
