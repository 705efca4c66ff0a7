# The functions of the nixpkgs library that our files use, with the same meaning.
let
  inherit (builtins)
    all
    attrNames
    concatLists
    concatStringsSep
    elem
    filter
    foldl'
    functionArgs
    head
    intersectAttrs
    isAttrs
    isBool
    isFunction
    isInt
    isList
    isFloat
    isPath
    isString
    listToAttrs
    map
    mapAttrs
    removeAttrs
    stringLength
    substring
    ;
in
rec {
  inherit (builtins)
    concatLists
    elem
    filter
    listToAttrs
    mapAttrs
    ;
  optional = condition: value: if condition then [ value ] else [ ];
  optionals = condition: values: if condition then values else [ ];
  optionalString = condition: text: if condition then text else "";
  optionalAttrs = condition: attrs: if condition then attrs else { };
  nameValuePair = name: value: { inherit name value; };
  genAttrs = names: f: listToAttrs (map (name: nameValuePair name (f name)) names);
  mapAttrsToList = f: attrs: map (name: f name attrs.${name}) (attrNames attrs);
  mapAttrs' = f: attrs: listToAttrs (mapAttrsToList f attrs);
  filterAttrs =
    keep: attrs: removeAttrs attrs (filter (name: !keep name attrs.${name}) (attrNames attrs));
  concatMapStringsSep =
    separator: f: values:
    concatStringsSep separator (map f values);
  hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
  hasSuffix =
    suffix: text:
    let
      rest = stringLength text - stringLength suffix;
    in
    rest >= 0 && substring rest (-1) text == suffix;
  removeSuffix =
    suffix: text:
    if hasSuffix suffix text then substring 0 (stringLength text - stringLength suffix) text else text;
  toInt = text: builtins.fromJSON text;
  importTOML = file: builtins.fromTOML (builtins.readFile file);
  literalExpression = text: text;
  licenses = genAttrs [ "mit" "asl20" ] (name: name);
  platforms.linux = [
    "x86_64-linux"
    "aarch64-linux"
  ];
  fileset = {
    unions = paths: paths;
    # A path that is not there is an error, as in nixpkgs.
    toSource =
      { root, fileset }:
      assert all (
        path: if builtins.pathExists path then true else throw "fileset: ${toString path} does not exist"
      ) fileset;
      root;
  };

  mkOption = attrs: attrs // { _type = "option"; };
  mkEnableOption =
    description:
    mkOption {
      type = types.bool;
      default = false;
      description = "Whether to enable ${description}.";
    };
  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };
  mkMerge = contents: {
    _type = "merge";
    inherit contents;
  };

  # A definition as a list of plain attribute sets. A condition moves down to the attributes
  # without being looked at: `mkIf c { a = 1; }` becomes `{ a = mkIf c 1; }`, so that a module may
  # ask for an option that another part of it sets.
  parts =
    definition:
    if definition._type or "" == "merge" then
      concatLists (map parts definition.contents)
    else if definition._type or "" == "if" then
      map (mapAttrs (_: mkIf definition.condition)) (parts definition.content)
    else
      [ definition ];
  # The values that a definition of one option really gives.
  given =
    definition:
    if definition._type or "" == "merge" then
      concatLists (map given definition.contents)
    else if definition._type or "" == "if" then
      (if definition.condition then given definition.content else [ ])
    else
      [ definition ];
  # One option: its definitions, else its default, checked and merged by its type.
  merge =
    place: option: definitions:
    let
      found = concatLists (map given definitions);
      values =
        if found != [ ] then
          found
        else if option ? default then
          [ option.default ]
        else
          throw "The option `${place}' is used but not defined.";
    in
    if all option.type.check values then
      option.type.merge place values
    else
      throw "A definition for option `${place}' is not of type `${option.type.name}'.";

  types =
    let
      single = name: check: {
        inherit name check;
        merge =
          place: values:
          if all (value: value == head values) values then
            head values
          else
            throw "The option `${place}' has conflicting definition values.";
      };
    in
    rec {
      anything = single "anything" (_: true);
      bool = single "boolean" isBool;
      float = single "floating point number" isFloat;
      int = single "signed integer" isInt;
      package = single "package" (value: value ? outPath);
      path = single "absolute path" (value: isString value || isPath value || value ? outPath);
      port = single "16 bit unsigned integer" (value: isInt value && value >= 0 && value < 65536);
      str = single "string" isString;
      oneOf = several: {
        name = concatMapStringsSep " or " (type: type.name) several;
        check = value: builtins.any (type: type.check value) several;
        merge =
          place: values: (head (filter (type: type.check (head values)) several)).merge place values;
      };
      listOf = type: {
        name = "list of ${type.name}";
        check = isList;
        merge = place: lists: map (value: merge place { inherit type; } [ value ]) (concatLists lists);
      };
      attrsOf = type: {
        name = "attribute set of ${type.name}";
        check = isAttrs;
        merge =
          place: definitions:
          let
            sets = concatLists (map parts definitions);
            of = name: map (set: set.${name}) (filter (set: set ? ${name}) sets);
            names = filter (name: concatLists (map given (of name)) != [ ]) (
              attrNames (foldl' (all: set: all // set) { } sets)
            );
          in
          genAttrs names (name: merge "${place}.${name}" { inherit type; } (of name));
      };
      submodule = module: {
        name = "submodule";
        check = isAttrs;
        merge = place: definitions: evaluate place ([ module ] ++ definitions) { };
      };
    };

  # The configuration that modules give; `place` is the path of the option that they are in.
  evaluate =
    place: modules: arguments:
    let
      library = import ./lib.nix;
      call =
        module:
        module (
          intersectAttrs (functionArgs module) (
            {
              lib = library;
              inherit config;
            }
            // arguments
          )
        );
      collect =
        given:
        let
          module = if isPath given then import given else given;
          value = if isFunction module then call module else module;
          whole =
            if value ? options || value ? config then
              value
            else
              {
                imports = value.imports or [ ];
                config = removeAttrs value [ "imports" ];
              };
        in
        concatLists (map collect (whole.imports or [ ])) ++ [ whole ];
      all = concatLists (map collect modules);
      join =
        a: b:
        a
        // mapAttrs (
          name: value: if a ? ${name} && value._type or "" != "option" then join a.${name} value else value
        ) b;
      options = foldl' (so: module: join so (module.options or { })) { } all;
      resolve =
        path: tree: definitions:
        let
          sets = concatLists (map parts definitions);
          of = name: map (set: set.${name}) (filter (set: set ? ${name}) sets);
          at = name: if path == "" then name else "${path}.${name}";
          unknown = filter (name: !(tree ? ${name})) (concatLists (map attrNames sets));
        in
        if unknown != [ ] then
          throw "The option `${at (head unknown)}' does not exist."
        else
          mapAttrs (
            name: option:
            (if option._type or "" == "option" then merge else resolve) (at name) option (of name)
          ) tree;
      config = resolve place options (map (module: module.config or { }) all);
    in
    config;
}
